"""The interface of a kind of part: its type in the file, its checks, its steps and their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.workspace import NamedCommand, NamedSource
from plimsoll.planning.steps import AnyStep, Work

if TYPE_CHECKING:
    from plimsoll.planning.planner import Planner

P = TypeVar("P", bound=Part)


class Kind(ABC, Generic[P]):
    """One kind of part. A new kind is a module with a subclass, and a line in `plimsoll.kinds.table`.

    `key` is the key of the parts in `spec`, `part` the type of one part, and `works` the types of work of its steps.
    """

    key: ClassVar[str]
    part: type[P]
    works: ClassVar[tuple[type[Work], ...]] = ()

    def of(self, application: ApplicationSpec) -> Mapping[str, P]:
        """The parts of this kind in an application, by name."""
        return cast("Mapping[str, P]", application.parts.get(self.key, {}))

    def place(self, name: str) -> tuple[str, ...]:
        """The path of keys of a part in the file."""
        return ("spec", self.key, name)

    def check(self, file: ApplicationFile) -> None:
        """Raise FileError for the first mistake in a part of this kind: a reference, a sum, a missing path."""

    def placement(self, part: P) -> tuple[str | None, tuple[str, ...]]:
        """The target that a part names (None without one), and the path of keys of that setting in the part."""
        return getattr(part, "target", None), ("target",)

    def placements(self, part: P) -> tuple[tuple[str | None, tuple[str, ...]], ...]:
        """All targets that a part names, each with the path of keys of its setting in the part."""
        return (self.placement(part),)

    def target_of(self, part: P, work: Work) -> str | None:
        """The target that a part names for one of its steps; None without one."""
        return self.placement(part)[0]

    def stay(self, part: P) -> str | None:
        """The target that the rows of a part never leave; None where they may go anywhere."""
        return getattr(part, "stay", None)

    def sources(self, name: str, part: P) -> Iterable[NamedSource]:
        """The sources that a part names; their digests are computed before planning."""
        return ()

    def commands(self, name: str, part: P) -> Iterable[NamedCommand]:
        """The command lines that a part names; the digests of their code are computed before planning."""
        return ()

    @abstractmethod
    def plan(self, name: str, part: P, planner: Planner) -> AnyStep:
        """Add the steps of a part to the plan; returns the last step, which other parts depend on. Pure."""
