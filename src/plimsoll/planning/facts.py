"""What planning needs to know of a target, gathered beforehand by those who may look."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Machine(Struct, frozen=True, kw_only=True):
    """One node of a target that has several. Units as in `TargetFacts`."""

    name: str
    cpu: float
    memory: int
    accelerators: int = 0


class TargetFacts(Struct, frozen=True, kw_only=True):
    """What a target has. `memory` is in bytes; `providers` names what carries each need and why.

    `machines` are its nodes where it has several, each of which must be large enough for a worker. `lacks` has the
    features that the target does not have, by name, each with the reason. `verbs` are the kinds of steps that the
    target carries out; None stands for all.
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
