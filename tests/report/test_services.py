"""What the page tells of services: requests, latency, drift, and whether they run."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import msgspec

from plimsoll.engine.history import RunHistory, history
from plimsoll.report.page import page
from plimsoll.report.write import gather_report
from plimsoll.state.directory import StateDirectory
from plimsoll.telemetry.drift.state import DriftState
from tests.runtime.packages.stand_in import stand_in

from .runs import START, planned, seen
from .test_report import read

LATER = START + timedelta(minutes=10)


def a_run(state: str = "stopped", pid: int = 2**22 + 5, target: str = "local") -> RunHistory:
    """A service that was started and kept; its end was not recorded."""
    result = {"model": "triage@1", "seconds_to_ready": 1.2, "latency_ms": 2.5}
    ended = [seen(600, "run", "run-ended", state=state)] if state != "running" else []
    return history(
        [
            planned({"serve/triage": []}, target),
            seen(1, "serve/triage", "step-started", key="k"),
            seen(1, "serve/triage", "worker-started", rank=0, pid=pid, attempt=1),
            seen(3, "serve/triage", "step-ended", state="done", cached=False, reason="", result=result),
            *ended,
        ]
    )


def words(state: StateDirectory, run: RunHistory) -> str:
    return " ".join(" ".join(read(page(gather_report(state, run))).text).split())


def logs(state: StateDirectory, name: str, lines: list[object]) -> None:
    folder = state.service_logs / "triage"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(json.dumps(line) for line in lines) + "\nhalf a li", encoding="utf-8")


def request(second: float, **values: object) -> dict[str, object]:
    at = (START + timedelta(seconds=second)).isoformat()
    return {"at": at, "event": "request", "model": "triage", "version": "1", "status": 200, "seconds": 0.01} | values


def test_a_kept_server_that_was_stopped_later_is_not_said_to_run(tmp_path: Path) -> None:
    assert "serve/triage 0 1 stopped after the run – –" in words(StateDirectory(tmp_path), a_run("done"))


def test_the_server_of_a_run_that_has_ended_was_stopped_with_it_and_has_no_invented_figures(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    text = words(state, a_run("stopped"))
    assert "serve/triage 0 1 stopped with the run – –" in text
    assert "still running" not in text
    assert "not running now" in text
    assert "serve/triage 0 1 still running – –" in words(state, a_run("running"))


def test_of_a_service_on_a_cluster_nothing_is_said_that_this_machine_cannot_know(tmp_path: Path) -> None:
    text = words(StateDirectory(tmp_path, "onprem"), a_run("done", pid=0, target="onprem"))
    assert "on onprem; plimsoll status --target onprem says whether it runs" in text
    assert "serve/triage 0 1 not seen – –" in text
    assert "not running now" not in text


def test_a_service_that_runs_on_after_its_run_is_said_to_run(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.services.mkdir(parents=True)
    up = {"name": "triage", "url": "http://127.0.0.1:8123", "pid": os.getpid()}
    (state.services / "triage.json").write_text(json.dumps(up))
    text = words(state, a_run("done", pid=os.getpid()))
    assert "running at http://127.0.0.1:8123" in text
    assert "serve/triage 0 1 still running – –" in text


def test_requests_of_the_run_are_counted_by_outcome_and_version_and_those_of_others_are_not(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    lines: list[object] = [request(-5), *(request(n, seconds=n / 1000) for n in range(1, 101))]
    lines += [
        request(101, status=400),
        request(102, status=503, version="2"),
        request(103, shadow=True),
        7,
        {"at": "x"},
    ]
    logs(state, "access.jsonl", [*lines, request(901), request(104, event="load")])
    for name, second in (("r1", 0), ("r2", 900)):
        state.journal(name).parent.mkdir(parents=True)
        state.journal(name).write_bytes(msgspec.json.encode(seen(second, "run", "run-planned")) + b"\n")
    report = gather_report(state, a_run())
    text = words(state, a_run())
    assert "102 requests, 1 refused, 1 failed; latency p50 49 ms" in text
    assert "p99 99 ms" in text
    assert "By version: triage@1 101, triage@2 1." in text
    assert len(report.services[0].requests) == 102
    assert "requests per second" in text


def test_a_service_without_an_access_log_says_how_to_get_one(tmp_path: Path) -> None:
    assert "telemetry: {access: true}" in words(StateDirectory(tmp_path), a_run())


def test_of_a_running_service_without_an_access_log_the_counts_of_its_server_are_told(tmp_path: Path) -> None:
    page = "".join(
        f'plimsoll_requests_total{{model="triage",version="1",code="{code}"}} {count}\n'
        for code, count in (("200", 95), ("400", 5))
    ) + "".join(
        f'plimsoll_request_seconds_bucket{{model="triage",version="1",le="{bound}"}} {count}\n'
        for bound, count in (("0.005", 60), ("0.025", 99), ("+Inf", 100))
    )
    state = StateDirectory(tmp_path)
    state.services.mkdir(parents=True)
    with stand_in() as server:
        server.pages["/metrics"] = page.encode()
        up = {"name": "triage", "url": server.url, "pid": os.getpid(), "model": "triage"}
        (state.services / "triage.json").write_text(json.dumps(up))
        text = words(state, a_run("done"))
    assert "triage@1 has answered 100 requests since its server started, of these 5 with 400" in text
    assert "50 % within 5 ms, 99 % within 25 ms" in text


def test_alarms_of_drift_have_their_time_and_their_end(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    alarm = {"feature": "hours", "side": "input"}
    changes: list[object] = [
        {
            "at": (START + timedelta(minutes=m)).isoformat(),
            "event": event,
            "words": text,
            "alarm": alarm,
            "version": "1",
        }
        for m, event, text in (
            (2, "drift-raised", "feature hours: KS 0.3"),
            (4, "drift-cleared", "feature hours: KS 0.1"),
            (6, "drift-raised", "feature hours: KS 0.5"),
        )
    ]
    logs(state, "drift.jsonl", changes)
    state.drift.mkdir(parents=True)
    drift = DriftState(model="triage", version="1", rows=900, skipped=0, windows=4, alarms=("feature hours: KS 0.5",))
    (state.drift / "triage.1.state.json").write_bytes(msgspec.json.encode(drift))
    text = words(state, a_run())
    assert "triage@1: feature hours: KS 0.5" in text
    first = START + timedelta(minutes=4)
    assert f"feature hours: KS 0.3 {first:%H:%M} feature hours: KS 0.5 still" in text
