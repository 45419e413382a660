"""What a worker process and its supervisor tell each other: JSON lines over a pair of sockets."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from plimsoll.runtime.server.counts import Counts


class Ready(Struct, frozen=True, kw_only=True, tag_field="do", tag="ready"):
    """The worker answers; `url` only where it has taken a port of its own."""

    grpc_port: int | None = None


class Failed(Struct, frozen=True, kw_only=True, tag_field="do", tag="failed"):
    """The worker cannot start; the reason is one line."""

    reason: str


class Report(Struct, frozen=True, kw_only=True, tag_field="do", tag="report"):
    """How the worker stands: `concurrency` is requests under way, on average since the last report.

    `answered` are all requests so far but those for metrics and health, which keep nobody awake.
    """

    concurrency: float
    connections: int
    answered: int
    counts: Counts


class AskCounts(Struct, frozen=True, kw_only=True, tag_field="do", tag="ask-counts"):
    """The worker wants the counts of all others."""

    id: int


class OtherCounts(Struct, frozen=True, kw_only=True, tag_field="do", tag="other-counts"):
    """The answer to it."""

    id: int
    counts: Counts


class Change(Struct, frozen=True, kw_only=True, tag_field="do", tag="change"):
    """Load or unload a model. From a worker: let all do it; from the supervisor: do it."""

    id: int
    verb: str
    model: str


class Changed(Struct, frozen=True, kw_only=True, tag_field="do", tag="changed"):
    """It is done; `problem` is empty when it went well. From the supervisor: all have done it."""

    id: int
    problem: str = ""


class Shed(Struct, frozen=True, kw_only=True, tag_field="do", tag="shed"):
    """Let this many connections end after their next answer, so that other workers get them."""

    connections: int


FromWorker = Ready | Failed | Report | AskCounts | Change | Changed
FromSupervisor = OtherCounts | Change | Changed | Shed

from_worker = msgspec.json.Decoder(FromWorker)
from_supervisor = msgspec.json.Decoder(FromSupervisor)


def line(message: FromWorker | FromSupervisor) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(message) + b"\n"
