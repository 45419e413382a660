"""What the probe of the Gateway API records."""

from __future__ import annotations

from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.records import CommonRecord, Record, make_decodable


class Backends(Record, frozen=True, kw_only=True, tag="backends"):
    """The two backends, whether they started, and the accepted gateway classes."""

    names: tuple[str, ...]
    ready: bool
    classes: tuple[str, ...]


class Measured(Record, frozen=True, kw_only=True, tag="measured"):
    """The requests of one case.

    `answers` counts the answers of each backend (or HTTP status), `arrived` the requests that each backend itself
    counts. `weight` is the share of `backend` in percent.
    """

    case: str
    answers: dict[str, int]
    arrived: dict[str, int]
    backend: str
    weight: int


class Streamed(Record, frozen=True, kw_only=True, tag="streamed"):
    """When the pieces of an answer arrived, in seconds of the client's uptime: directly, or through the gateway."""

    way: str
    arrivals: tuple[float, ...]


TrafficRecord = Backends | GatewayReady | Measured | Streamed | CommonRecord
make_decodable(TrafficRecord)
