"""What the probe of accelerators' drivers records."""

from __future__ import annotations

from plimsoll.capabilities.holder_records import HolderRecord
from plimsoll.capabilities.records import CommonRecord, Record, make_decodable


class Advertised(Record, frozen=True, kw_only=True, tag="advertised"):
    """The driver versions that a node's devices and labels name."""

    node: str
    hardware: str
    found: tuple[str, ...]


class Holder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """The holder that was made for the node `on`."""

    on: str


DriverRecord = Advertised | Holder | CommonRecord
make_decodable(DriverRecord)
