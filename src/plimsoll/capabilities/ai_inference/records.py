"""What the probe of the Gateway API records."""

from __future__ import annotations

from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class Backends(CheckRecord, frozen=True, kw_only=True, tag="backends"):
    """The two backends, whether they started, and the accepted gateway classes."""

    names: tuple[str, ...]
    ready: bool
    classes: tuple[str, ...]


class TrafficMeasured(CheckRecord, frozen=True, kw_only=True, tag="measured"):
    """The requests of one case.

    `answers` counts the answers of each backend (or HTTP status), `arrived` the requests that each backend itself
    counts. `weight` is the share of `backend` in percent.
    """

    case: str
    answers: dict[str, int]
    arrived: dict[str, int]
    backend: str
    weight: int


class Streamed(CheckRecord, frozen=True, kw_only=True, tag="streamed"):
    """When the pieces of an answer arrived, in seconds of the client's uptime: directly, or through the gateway."""

    way: str
    arrivals: tuple[float, ...]


TrafficRecord = Backends | GatewayReady | TrafficMeasured | Streamed | CommonRecord
