"""Reads what a service left on this machine: its access log, its alarms and state of drift, its address."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.kinds.serve import ServeResult
from plimsoll.report.traffic import AlarmLine, Request, ServiceReport, alarm_spans
from plimsoll.runtime.client import calling_as
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.version_counts import VersionCounts, counts_at

MOST_BYTES = 48 << 20
"""Bytes of a log that are read, from its end: a page is written while somebody waits."""
ANSWER_LIMIT = 2.0
"""Seconds that a server has to tell what it has counted."""


@decodable
class _Announced(Struct, frozen=True):
    """What a running service leaves in `services/<name>.json`."""

    url: str
    pid: int
    model: str = ""
    certificate: str = ""


_REQUESTS = msgspec.json.Decoder(Request)
_ALARMS = msgspec.json.Decoder(AlarmLine)
Line = TypeVar("Line", Request, AlarmLine)


def service_reports(state: StateDirectory, run: RunHistory) -> tuple[ServiceReport, ...]:
    """All services that a run has started, with what they did until the next run began: they may outlive their run."""
    return tuple(_service(state, run, step) for step in run.steps if isinstance(step.result, ServeResult))


def running_processes(state: StateDirectory) -> frozenset[int]:
    """The process ids of the services that run now."""
    found = (_running(path) for path in state.services.glob("*.json"))
    return frozenset(each.pid for each in found if each is not None)


def _service(state: StateDirectory, run: RunHistory, step: StepHistory) -> ServiceReport:
    result = step.result
    assert isinstance(result, ServeResult)  # noqa: S101 - chosen above
    up = _running(state.services / f"{step.part}.json")
    until = _next_begin(state, run.run) or datetime.now(UTC)
    logs = state.service_logs / step.part
    access, alarms = logs / "access.jsonl", logs / "drift.jsonl"
    begin = run.started or datetime.min.replace(tzinfo=UTC)
    requests, shortened = _lines(access, _REQUESTS)
    changes, _ = _lines(alarms, _ALARMS)
    return ServiceReport(
        name=step.part,
        model=result.model,
        latency_ms=result.latency_ms,
        seconds_to_ready=result.seconds_to_ready,
        began=step.ended,
        until=until,
        running=up.url if up else "",
        elsewhere="" if (step.target or run.target) == LOCAL else run.name_of(step.target or run.target),
        logged=access.is_file(),
        shortened=shortened,
        counts=_counts(state.token(step.part), up) if up and not access.is_file() else {},
        requests=tuple(
            each for each in requests if begin <= each.at <= until and each.event == "request" and not each.shadow
        ),
        drift=tuple(_drift(state, step.part)),
        alarms=alarm_spans(each for each in changes if begin <= each.at <= until),
    )


def _counts(token: str, up: _Announced) -> dict[str, VersionCounts]:
    """What the server of a service has counted, by version; nothing when it does not answer at once."""
    try:
        with calling_as(token, certificate=up.certificate):
            found = counts_at(up.url, up.model, ANSWER_LIMIT)
    except PlimsollError:
        return {}
    return {f"{up.model}@{version}": counts for version, counts in found.items()}


def _next_begin(state: StateDirectory, run: str) -> datetime | None:
    """When the run after this one began; None when there is none."""
    known = state.run_ids()
    for later in known[known.index(run) + 1 :] if run in known else ():
        with contextlib.suppress(PlimsollError):
            for first in read_journal(state.journal(later)):
                return first.at
    return None


def _running(path: Path) -> _Announced | None:
    """The service that a file announces; None when its process has ended."""
    try:
        announced = msgspec.json.decode(path.read_bytes(), type=_Announced)
        os.kill(announced.pid, 0)
    except (*UNREADABLE, OSError, OverflowError):
        return None
    return announced


def _lines(path: Path, decoder: msgspec.json.Decoder[Line]) -> tuple[list[Line], bool]:
    """The lines at the end of a log that can be read, and whether there are more before them."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            skipped = max(size - MOST_BYTES, 0)
            file.seek(skipped)
            content = file.read(MOST_BYTES)
    except OSError:
        return [], False
    lines = content.splitlines()[1 if skipped else 0 :]
    return list(_decoded(lines, decoder)), bool(skipped)


def _decoded(lines: list[bytes], decoder: msgspec.json.Decoder[Line]) -> Iterator[Line]:
    for line in lines:
        with contextlib.suppress(*UNREADABLE):
            found = decoder.decode(line)
            if found.at.tzinfo is not None:
                yield found


def _drift(state: StateDirectory, service: str) -> Iterator[DriftState]:
    for path in sorted(state.drift.glob(f"{service}.*.state.json")):
        with contextlib.suppress(*UNREADABLE, OSError):
            yield msgspec.json.decode(path.read_bytes(), type=DriftState)
