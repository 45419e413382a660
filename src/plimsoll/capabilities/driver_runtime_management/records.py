"""What the probe of accelerators' drivers records."""

from __future__ import annotations

from plimsoll.capabilities.holder_records import HolderRecord
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class Advertised(CheckRecord, frozen=True, kw_only=True, tag="advertised"):
    """The driver versions that a node's devices and labels name."""

    node: str
    hardware: str
    found: tuple[str, ...]


class DriverHolder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """The holder that was made for the node `on`."""

    on: str


DriverRecord = Advertised | DriverHolder | CommonRecord
