"""The facts of a target that planning needs. The target collects them, because planning does no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Machine(Struct, frozen=True, kw_only=True):
    """One node of a target that has several. Units as in `TargetFacts`."""

    name: str
    cpu: float
    memory: int
    accelerators: int = 0


class IsolationFacts(Struct, frozen=True, kw_only=True):
    """What keeps processes of steps apart from a target, or why nothing does and what helps.

    `strict_by` is what the level `strict` has, where that is more. `always` says that no step is without.
    """

    by: str = ""
    strict_by: str = ""
    always: bool = False
    problem: str = ""
    remedy: str = ""


class TargetFacts(Struct, frozen=True, kw_only=True):
    """The capacity and features of a target. `memory` is in bytes; `providers` maps a need to its provider and why.

    `machines` are the nodes of a target that has several; a worker must fit on one of them. `lacks` maps each missing
    feature to the reason. `verbs` are the kinds of steps that the target supports; None means all. `missing_extras` are
    extras of plimsoll that are not installed on this machine. `away` says why a target does not answer now, of which
    nothing else is known. `isolation` is of a target on which processes would else be plimsoll's equals. Of several
    targets, `parts` has the facts of each, by its name. `knows_kinds` says that the target itself holds accelerators
    that a step names against what it has of these.
    """

    target: str
    cpu: float
    memory: int
    accelerators: int = 0
    machines: tuple[Machine, ...] = ()
    providers: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    lacks: Mapping[str, str] = {}
    verbs: frozenset[str] | None = None
    missing_extras: frozenset[str] = frozenset()
    away: str = ""
    isolation: IsolationFacts | None = None
    parts: Mapping[str, TargetFacts] = {}
    knows_kinds: bool = False

    def of(self, target: str) -> TargetFacts:
        """The facts of one of several targets; of the only one for an empty name."""
        return self.parts[target] if target else self
