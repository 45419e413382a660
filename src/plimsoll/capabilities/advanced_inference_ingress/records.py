"""What the probe of routing by a picker records."""

from __future__ import annotations

from plimsoll.capabilities.gateway_records import GatewayReady
from plimsoll.capabilities.records import CheckRecord, CommonRecord


class ModelServers(CheckRecord, frozen=True, kw_only=True, tag="servers"):
    """The two model servers, and whether they and the picker started."""

    names: tuple[str, ...]
    ready: bool


class RouteRefused(CheckRecord, frozen=True, kw_only=True, tag="refused"):
    """A gateway does not accept the pool as a backend; `said` is its reason."""

    gateway: str
    said: str


class ServersTold(CheckRecord, frozen=True, kw_only=True, tag="told"):
    """The model and the queue length that each server reports from now on."""

    said: dict[str, tuple[str, int]]


class RequestsPicked(CheckRecord, frozen=True, kw_only=True, tag="measured"):
    """The requests of one case.

    `server` is the server that the picker has to choose, `asked` the number of requests, `answers` how many each
    server (or HTTP status) answered, and `arrived` how many requests each server itself counts.
    """

    case: str
    model: str
    server: str
    asked: int
    answers: dict[str, int]
    arrived: dict[str, int]


IngressRecord = ModelServers | GatewayReady | RouteRefused | ServersTold | RequestsPicked | CommonRecord
