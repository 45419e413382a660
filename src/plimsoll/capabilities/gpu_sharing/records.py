"""What the probe of shared accelerators records."""

from __future__ import annotations

from plimsoll.capabilities.holder_records import HolderRecord
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class SharingMode(CheckRecord, frozen=True, kw_only=True, tag="mode"):
    """A mode of sharing under test: `name` is its resource or device class, `node` is empty if a claim chooses it."""

    mode: str
    name: str
    node: str


class SharingHolder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """A holder of one mode, in the case holds, waits or released."""

    mode: str
    case: str


SharingRecord = SharingMode | SharingHolder | CommonRecord
