"""How a result leaves one target and arrives on another: what a target offers that takes part in a run over several.

A parcel is the files of a result on this machine, or an image in the registry of the target where it was made. Either
is verified as it is taken: files by the digests that they were stored with, images by those of all their parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from plimsoll.kinds.register import RegisterResult
from plimsoll.planning.steps import AnyStep
from plimsoll.state.results import Result

if TYPE_CHECKING:
    from plimsoll.registry.repository import Repository


class Content(Struct, frozen=True, kw_only=True):
    """What a target has of a result: its digest there, empty where it has none, and its size in bytes."""

    digest: str = ""
    size: int = 0


class Files(Struct, frozen=True, kw_only=True):
    """A result whose files lie on this machine, in a directory or as a single file."""

    path: Path
    result: Result


class Image(Struct, frozen=True, kw_only=True):
    """A result that lies in a registry: its digest there, and the values that stand in its label."""

    repository: Repository
    digest: str
    values: Mapping[str, object]


Parcel = Files | Image


class ExchangesResults(Protocol):
    """Gives results of the target to others, and takes theirs. Every method raises PlimsollError."""

    @property
    def registry(self) -> str:
        """The registry by which results reach the target, as this machine names it; empty for one of its own."""
        ...

    def content(self, step: AnyStep) -> Content | None:
        """What the target has of a finished step; None when it has nothing."""
        ...

    def give(self, step: AnyStep) -> Parcel:
        """The result of a finished step."""
        ...

    def take(self, step: AnyStep, parcel: Parcel) -> Content:
        """Have a result here as well, verified; what is here afterwards."""
        ...

    def take_model(self, step: AnyStep, registered: RegisterResult) -> Content:
        """Have the version here that a step has registered on this machine, verified and with its signature."""
        ...
