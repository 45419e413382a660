"""What the probe of parts of accelerators records."""

from __future__ import annotations

from plimsoll.capabilities.holder_records import HolderRecord
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class PartsAsked(CheckRecord, frozen=True, kw_only=True, tag="asked"):
    """The device classes of a part and of a whole device, and the attribute that chooses the device."""

    part: str
    whole: str
    attribute: str
    value: str


class PartHolder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """A holder in one case."""

    case: str


PartRecord = PartsAsked | PartHolder | CommonRecord
