"""What planning needs to know of the world, gathered beforehand by those who may look."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Machine(Struct, frozen=True, kw_only=True):
    """One node of a target that has several. Units as in `Facts`."""

    name: str
    cpu: float
    memory: int
    accelerators: int = 0


class Facts(Struct, frozen=True, kw_only=True):
    """What a target has. `memory` is in bytes; `providers` names what carries each need and why.

    `machines` are its nodes where it has several, each of which must be large enough for a worker. `never_zero` says
    why a service there cannot be without any server, empty where it can.
    """

    target: str
    cpu: float
    memory: int
    accelerators: int = 0
    machines: tuple[Machine, ...] = ()
    providers: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    never_zero: str = ""
