"""What planning needs to know of the world, gathered beforehand by those who may look."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Facts(Struct, frozen=True, kw_only=True):
    """What a target has. `memory` is in bytes; `providers` names what carries each need and why."""

    target: str
    cpu: float
    memory: int
    accelerators: int = 0
    providers: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
