"""What a kind of part is: its part of the file, what that part means, its steps, and where their results are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from plimsoll.application.application import Application
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.workspace import NamedCommand, NamedSource
from plimsoll.planning.steps import AnyStep, Work

if TYPE_CHECKING:
    from plimsoll.planning.planner import Planner

P = TypeVar("P", bound=Part)


class Kind(ABC, Generic[P]):
    """One kind of part. A new kind is a module with a subclass, and a line in `plimsoll.kinds.table`.

    `key` is the mapping of `spec` that holds the parts, `part` the type of one, and `works` all that its steps do.
    """

    key: ClassVar[str]
    part: type[P]
    works: ClassVar[tuple[type[Work], ...]] = ()

    def of(self, application: Application) -> Mapping[str, P]:
        """The parts of this kind in an application, by name."""
        return cast("Mapping[str, P]", application.parts.get(self.key, {}))

    def place(self, name: str) -> tuple[str, ...]:
        """Where a part is in the file."""
        return ("spec", self.key, name)

    def check(self, file: ApplicationFile) -> None:
        """Raise FileError for the first part of this kind that means nothing: a reference, a sum, a missing path."""

    def placement(self, part: P) -> tuple[str | None, tuple[str, ...]]:
        """The target that a part names, and where in the part it names it; None when it names none."""
        return getattr(part, "target", None), ("target",)

    def sources(self, name: str, part: P) -> Iterable[NamedSource]:
        """The sources that a part names, so that their digests can be worked out before planning."""
        return ()

    def commands(self, name: str, part: P) -> Iterable[NamedCommand]:
        """The command lines that a part names, so that the digests of their code can be worked out before planning."""
        return ()

    @abstractmethod
    def plan(self, name: str, part: P, planner: Planner) -> AnyStep:
        """Add the steps of a part to the plan; gives the last, which is what other parts need. Pure."""
