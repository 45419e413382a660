"""The step that registers a model: its lineage, its acceptance, and the version that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from msgspec import Struct

from plimsoll.kinds.adapters import Base
from plimsoll.kinds.card import CardPlan
from plimsoll.kinds.membership import MembershipPlan
from plimsoll.kinds.train import Framework
from plimsoll.planning.steps import Ingredient, Travels, Work
from plimsoll.state.results import Result


class RegisterResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The registered version. `refusals` name the bounds that it misses; `reference` is where pods pull it.

    `name` is what its versions are called; empty for a model, whose versions are called as its part of the file. `base`
    is the version that an adapter is of.
    """

    version: int
    digest: str
    accepted: bool
    refusals: tuple[str, ...] = ()
    reference: str | None = None
    name: str = ""
    base: str = ""

    def version_of(self, part: str) -> str:
        """The version by its name and number; `part` is that of the step in the file."""
        return f"{self.name or part}@{self.version}"

    def figure(self) -> str:
        """The version, and whether it may be served."""
        verdict = "accepted" if self.accepted else "not accepted: " + "; ".join(self.refusals)
        return f"version {self.version}{f', an adapter of {self.base}' if self.base else ''}, {verdict}"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {
            "version": self.version,
            "digest": self.digest,
            "metrics": self.metrics,
            "accepted": self.accepted,
            "refusals": self.refusals,
            **({"base": self.base} if self.base else {}),
        }


class Screened(Struct, frozen=True, kw_only=True):
    """A screen of what a training was given: its step, and the key of its result."""

    step: str
    key: str


class Register(Work, frozen=True, kw_only=True):
    """Register a model with its lineage, sign it, and judge its acceptance.

    `train` is the step that trained or brought it. `source` is where it was brought from, `licences` are those that are
    accepted; both are empty for a trained one. `lineage` has the ingredients of the training, and the sources
    of its inputs (kind `source`). `served_by_code` is set for a model that the user's own code serves, which may be of
    any format. `base` is the model that an adapter is of. `card` is what the version's card is made with, and `screens`
    are those that the training's rows went through. `membership` is the attack that is tried on it. `scanned` refuses
    a version with a file that is not known to hold data alone.
    """

    verb: ClassVar[str] = "register"
    result: ClassVar[type[Result]] = RegisterResult
    travels: ClassVar[Travels] = "model"
    leaves: ClassVar[bool] = True
    model: str
    train: str
    train_key: str
    command: str = ""
    source: str = ""
    licences: tuple[str, ...] = ()
    framework: Framework = "none"
    accept: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    lineage: tuple[Ingredient, ...] = ()
    served_by_code: bool = False
    base: Base | None = None
    card: CardPlan = CardPlan()
    screens: tuple[Screened, ...] = ()
    membership: MembershipPlan | None = None
    scanned: bool = False

    def needed_extras(self) -> Iterator[str]:
        """Those of what the card tells."""
        yield from self.card.needed_extras()
        if self.membership is not None:
            yield from self.membership.needed_extras()
