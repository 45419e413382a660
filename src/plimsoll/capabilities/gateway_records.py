"""What is recorded of a gateway."""

from __future__ import annotations

from plimsoll.capabilities.records import CheckRecord


class GatewayReady(CheckRecord, frozen=True, kw_only=True, tag="gateway"):
    """A gateway of the class `name` has an address."""

    name: str
    controller: str
    address: str
