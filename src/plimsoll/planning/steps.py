"""The plan: steps in order, each with its content key and its needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Generic, Literal, TypeVar

from msgspec import Struct, field

from plimsoll.application.isolation import Isolation
from plimsoll.state.results import Result


class WorkerResources(Struct, frozen=True, kw_only=True):
    """The resources that one worker of a step uses while it runs.

    `cpu` is in cores; `None` sets no limit and counts as one core. `memory` is in bytes; `None` sets no limit.
    `accelerator` names which accelerators, `slice` is the topology of TPUs, and `spot` says whether nodes that may be
    taken away will do; empty where the file says nothing.
    """

    cpu: float | None = None
    memory: int | None = None
    accelerators: int = 0
    accelerator: str = ""
    slice: str = ""
    spot: Literal["", "never", "allowed", "only"] = ""

    @property
    def cores(self) -> float:
        """The number of cores that count for one worker."""
        return 1.0 if self.cpu is None else self.cpu


class Ingredient(Struct, frozen=True, kw_only=True):
    """One ingredient of a step's key, recorded so that a later plan can name what changed.

    `kind` is one of `command`, `code`, `environment`, `input`, `setting`, `parameter`; `name` identifies it; `digest`
    is the digest of its content.
    """

    kind: str
    name: str
    digest: str


class InputFile(Struct, frozen=True, kw_only=True):
    """One input of a step: the result of `step` (whose key is `key`), or one `file` of that result."""

    name: str
    step: str
    key: str
    file: str | None = None


class FeatureRequest(Struct, frozen=True, kw_only=True):
    """A feature that a step needs of its target, by the feature's name.

    `setting` is the path of keys, in the part of the file, that requests it. `asks` completes "the step …", and
    `remedy` says what to change when the target lacks the feature.
    """

    feature: str
    setting: tuple[str, ...]
    asks: str
    remedy: str


Travels = Literal["data", "model", "never", "nothing"]
"""How a result reaches a step on another target: its files do, a signed version does, or it is made there again.
`nothing` is for what stands where it is: a step elsewhere only has to come after it."""


class Work(Struct, frozen=True, kw_only=True):
    """What a step does. Each kind of part adds its own subclasses; targets dispatch on the subclass.

    `verb` is the first word of the step's name. `result` is the type of its result. `settings` is the path of keys of
    the work's settings in its part of the file. `kept_here` means that its files are fetched to the machine that runs
    plimsoll, whatever the target. `travels` says how its result reaches another target. `leaves` means that what comes
    of rows that must stay where they are may leave: it is a model, and none of the rows. `placed_by` is the path of
    keys, in the part of the file, that names the target of the step.
    """

    verb: ClassVar[str]
    result: ClassVar[type[Result]] = Result
    settings: ClassVar[tuple[str, ...]] = ()
    kept_here: ClassVar[bool] = False
    travels: ClassVar[Travels] = "data"
    leaves: ClassVar[bool] = False
    placed_by: ClassVar[tuple[str, ...]] = ("target",)

    @property
    def reads_here(self) -> bool:
        """Whether it reads what lies on the machine that runs plimsoll, whatever the target."""
        return False

    @property
    def workers(self) -> int:
        """The number of processes that run at once."""
        return 1

    @property
    def is_isolated(self) -> bool:
        """Whether it runs commands or code that the target keeps apart from itself, where it can."""
        return False

    def needed_features(self) -> Iterator[FeatureRequest]:
        """The features of the target that the work needs."""
        yield from ()

    def needed_extras(self) -> Iterator[str]:
        """The extras of plimsoll that have to be installed on this machine for the work, wherever it is done."""
        yield from ()


W_co = TypeVar("W_co", bound=Work, covariant=True)


class Step(Struct, Generic[W_co], frozen=True, kw_only=True):
    """One piece of work for one part of the file. Equal keys give equal results, on any target.

    `part` is the part's name in the file; `needs` are the names of the steps that must be done before. `target` is
    where it runs in a plan over several targets, and empty in others. `stays` is the target that the rows in its result
    must not leave, or those that a training was given. `isolation` is what the file asks for; None for nothing. It is
    not part of the key, as limits are not.
    """

    part: str
    key: str
    work: W_co
    needs: tuple[str, ...] = ()
    resources: WorkerResources = WorkerResources()
    isolation: Isolation | None = None
    retries: int = 0
    ingredients: tuple[Ingredient, ...] = field(default_factory=tuple)
    target: str = ""
    stays: str = ""

    @property
    def name(self) -> str:
        """Verb and part, for example `train/triage`."""
        return f"{self.work.verb}/{self.part}"

    @property
    def verb(self) -> str:
        """The verb: environment, fetch, run, train, register, serve, score, or a verb of another kind."""
        return self.work.verb

    @property
    def workers(self) -> int:
        """The number of processes that run at once."""
        return self.work.workers


AnyStep = Step[Work]


class Plan(Struct, frozen=True, kw_only=True):
    """The steps of an application on a target; each step comes after the steps that it needs.

    `notes` maps the name of a step to what is not known of its code. Over several targets, `names` maps each to what
    the file calls it, and `whys` the name of a step to why it runs where it does.
    """

    application: str
    target: str
    steps: tuple[AnyStep, ...]
    notes: Mapping[str, str] = {}
    names: Mapping[str, str] = {}
    whys: Mapping[str, str] = {}

    def step(self, name: str) -> AnyStep:
        """The step with a name. Raises KeyError when the plan has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
