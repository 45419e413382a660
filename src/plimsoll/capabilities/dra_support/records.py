"""What the probe of claims by attribute records."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from plimsoll.capabilities.holder_records import AllocatedDevice, HolderRecord
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class ClaimAsked(CheckRecord, frozen=True, kw_only=True, tag="asked"):
    """The attribute that the claims ask for.

    `having` are the devices with that value, and `told` says whether a held device reports the value itself.
    """

    device_class: str
    attribute: str
    value: str
    having: tuple[AllocatedDevice, ...]
    told: bool = False


class ClaimHolder(HolderRecord, frozen=True, kw_only=True, tag="holder"):
    """A holder in one case; `ever` counts the looks at which a claim that must wait had a device."""

    case: str
    ever: int | UnsetType = UNSET


ClaimRecord = ClaimAsked | ClaimHolder | CommonRecord
