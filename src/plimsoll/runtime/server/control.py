"""The messages between a worker process and its supervisor: JSON lines over a pair of sockets."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.runtime.server.counts import Counts


class Ready(Struct, frozen=True, kw_only=True, tag_field="do", tag="ready"):
    """The worker answers requests. `grpc_port` is set when it answers gRPC."""

    grpc_port: int | None = None


class Failed(Struct, frozen=True, kw_only=True, tag_field="do", tag="failed"):
    """The worker cannot start; the reason is one line."""

    reason: str


class Report(Struct, frozen=True, kw_only=True, tag_field="do", tag="report"):
    """The worker's load. `concurrency` is requests under way, on average since the last report.

    `answered` are inferences so far. Requests for metrics and health are left out: they keep no server awake.
    """

    concurrency: float
    connections: int
    answered: int
    counts: Counts


class AskCounts(Struct, frozen=True, kw_only=True, tag_field="do", tag="ask-counts"):
    """The worker asks for the counts of all other workers."""

    id: int


class OtherCounts(Struct, frozen=True, kw_only=True, tag_field="do", tag="other-counts"):
    """The answer to AskCounts."""

    id: int
    counts: Counts


class Change(Struct, frozen=True, kw_only=True, tag_field="do", tag="change"):
    """Load or unload a model. A worker sends it for all other workers; the supervisor sends it to each of them."""

    id: int
    verb: Literal["load", "unload"]
    model: str


class Changed(Struct, frozen=True, kw_only=True, tag_field="do", tag="changed"):
    """A change is made; `problem` is empty when it succeeded. The supervisor sends it when all workers have made it."""

    id: int
    problem: str = ""


class Shed(Struct, frozen=True, kw_only=True, tag_field="do", tag="shed"):
    """Close this many connections after their next answer, so that their clients reach other workers."""

    connections: int


FromWorker = Ready | Failed | Report | AskCounts | Change | Changed
FromSupervisor = OtherCounts | Change | Changed | Shed

from_worker = msgspec.json.Decoder(FromWorker)
from_supervisor = msgspec.json.Decoder(FromSupervisor)


def line(message: FromWorker | FromSupervisor) -> bytes:
    """The bytes of a message."""
    return msgspec.json.encode(message) + b"\n"
