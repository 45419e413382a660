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


class Workspace(Struct, frozen=True, kw_only=True):
    """Content digests of what the application file refers to.

    `sources`: dataset name to digest of its source. `code`: step name to (file, digest) pairs. `environment`: name and
    digest of what the commands run in.
    """

    sources: Mapping[str, str] = {}
    code: Mapping[str, tuple[tuple[str, str], ...]] = {}
    environment: tuple[str, str] = ("python", "")
