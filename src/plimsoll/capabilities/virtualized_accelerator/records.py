"""What the probe of parts of accelerators records."""

from __future__ import annotations

from plimsoll.capabilities.holder_records import HolderRecord
from plimsoll.capabilities.records import CommonRecord, Record, make_decodable


class PartsAsked(Record, frozen=True, kw_only=True, tag="asked"):
    """The device classes of a part and of a whole device, and the attribute that chooses the device."""

    part: str
    whole: str
    attribute: str
    value: str


class Holder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """A holder in one case."""

    case: str


PartRecord = PartsAsked | Holder | CommonRecord
make_decodable(PartRecord)
