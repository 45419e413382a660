"""The drift of a group's devices as `plimsoll edge drift` has judged it last, each device and all together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.fleet_file import DIRECTORY
from plimsoll.files import replace_file
from plimsoll.telemetry.drift.state import DriftState


@decodable
class GroupDrift(Struct, frozen=True, kw_only=True):
    """States of the versions that devices serve: of all devices together, and of each by itself."""

    judged: datetime | None = None
    together: tuple[DriftState, ...] = ()
    devices: dict[str, tuple[DriftState, ...]] = {}


def _path(root: Path, group: str) -> Path:
    return root / DIRECTORY / f"{group}.drift.json"


def read_drift(root: Path, group: str) -> GroupDrift:
    """What was judged last; an empty one before the first time."""
    try:
        return msgspec.json.decode(_path(root, group).read_bytes(), type=GroupDrift)
    except (FileNotFoundError, *UNREADABLE):
        # It is judged again from the logs.
        return GroupDrift()


def write_drift(root: Path, group: str, drift: GroupDrift) -> None:
    """Keep what was judged."""
    (root / DIRECTORY).mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(_path(root, group), msgspec.json.encode(drift))
