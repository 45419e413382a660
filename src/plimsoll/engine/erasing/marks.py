"""Trainings and versions that had rows of somebody who was erased: the next plan says why it trains anew."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file
from plimsoll.state.directory import StateDirectory

FILE = "marks.json"


class Mark(Struct, frozen=True, kw_only=True):
    """The erasure after which something is to be made anew."""

    erasure: str
    at: datetime

    @property
    def why(self) -> str:
        """The reason as a plan gives it."""
        return f"rows of a person were erased on {self.at:%Y-%m-%d} (erasure {self.erasure})"


@decodable
class Marks(Struct, frozen=True, kw_only=True):
    """By the key of a step, and by the digest of a version."""

    keys: Mapping[str, Mark] = {}
    versions: Mapping[str, Mark] = {}


def read_marks(state: StateDirectory) -> Marks:
    """The marks of an application; none where nobody was erased."""
    with contextlib.suppress(*UNREADABLE, OSError):
        return msgspec.json.decode(_path(state).read_bytes(), type=Marks)
    return Marks()


def add_marks(state: StateDirectory, keys: Iterable[str], versions: Iterable[str], mark: Mark) -> None:
    """Mark steps and versions. Raises OSError."""
    before = read_marks(state)
    after = Marks(
        keys={**before.keys, **dict.fromkeys(keys, mark)},
        versions={**before.versions, **dict.fromkeys(versions, mark)},
    )
    if after != before:
        replace_file(_path(state), msgspec.json.encode(after))


def _path(state: StateDirectory) -> Path:
    return state.registry.parent / "erasures" / FILE
