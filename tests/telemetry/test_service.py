"""The telemetry of a service, read over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from plimsoll.files import replace_file
from plimsoll.telemetry.service import watch

from .conftest import DIGEST, Watched

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-forwarded-user": "ada", "x-request-id": "r-1"}
Seen = TypeVar("Seen")


def until(found: Callable[[], Seen], limit: float = 10.0) -> Seen:
    """Wait for the first true result of a function."""
    deadline = time.monotonic() + limit
    while not (seen := found()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)
    return seen


@pytest.mark.slow
def test_latencies_are_counted_by_model_version_and_status_with_the_trace_as_exemplar(watched: Watched) -> None:
    assert watched.infer([[1, 2]], headers=CALLER).status_code == 200
    assert watched.infer([[1, 2, 3]]).status_code == 400

    def exemplars() -> set[str]:
        page = watched.client.get("/openmetrics")
        assert page.headers["content-type"].startswith("application/openmetrics-text")
        (family,) = (one for one in openmetrics(page.text) if one.name == "http_server_request_duration_seconds")
        counted = {sample.labels["http_response_status_code"] for sample in family.samples}
        assert all(sample.labels["version"] == "3" for sample in family.samples)
        found = {sample.exemplar.labels["trace_id"] for sample in family.samples if sample.exemplar}
        return found if {"200", "400"} <= counted else set()

    assert until(exemplars) == {TRACE}


def test_the_page_for_prometheus_has_each_metric_once(watched: Watched) -> None:
    watched.infer([[1, 2]])
    page = watched.client.get("/metrics").text
    names = [family.name for family in classic(page)]
    assert len(names) == len(set(names))


def test_the_audit_log_says_who_which_digest_and_which_verdict_and_never_the_payload(watched: Watched) -> None:
    watched.infer([[4242.25, 2]], headers={**CALLER, "x-request-id": "audit-1"}, id="7")
    watched.infer([[4242.25, 2, 3]], headers={"x-request-id": "audit-2", "authorization": "Bearer hidden"})

    def told() -> list[dict[str, object]]:
        mine = [line for line in watched.lines("audit.jsonl") if str(line.get("request_id")).startswith("audit")]
        return mine if len(mine) == 2 else []

    answered, refused = until(told)
    assert answered["who"] == {"client": "127.0.0.1", "user": "ada"}
    assert answered["digest"] == refused["digest"] == DIGEST
    assert (answered["verdict"], refused["verdict"]) == ("answered", "refused")
    assert answered["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]
    assert answered["trace_id"] == TRACE
    assert answered["id"] == "7"
    assert "shape" in str(refused["reason"])
    written = (watched.directory / "audit.jsonl").read_text() + (watched.directory / "access.jsonl").read_text()
    assert "4242.25" not in written
    assert "hidden" not in written


def test_the_access_log_has_a_line_for_each_request(watched: Watched) -> None:
    watched.infer([[1, 2], [3, 4]], headers={"x-request-id": "access-1"})
    found = until(lambda: [line for line in watched.lines("access.jsonl") if line.get("request_id") == "access-1"])
    (line,) = found
    assert (line["model"], line["version"], line["status"], line["rows"]) == ("m", "3", 200, 2)
    assert 0 < float(str(line["seconds"])) < 10


@pytest.mark.slow
def test_a_rotated_log_is_reopened(watched: Watched) -> None:
    path = watched.directory / "access.jsonl"
    watched.infer([[1, 2]])
    until(path.exists)
    path.rename(path.with_suffix(".1"))
    watched.infer([[1, 2]], headers={"x-request-id": "after"})
    until(lambda: path.exists() and "after" in path.read_text())


@pytest.mark.slow
def test_live_drift_appears_in_the_service_its_metrics_its_log_and_its_state_file(watched: Watched) -> None:
    random = np.random.default_rng(5)

    def alarms() -> list[str]:
        rows = random.normal(size=(100, 2))
        rows[:, 1] += 2
        assert watched.infer(rows.tolist()).status_code == 200
        told: list[str] = watched.drift()["alarms"]
        return [words for words in told if words.startswith("feature right: KS 0.")]

    (words,) = until(alarms, 30)
    assert "shifted up since " in words
    told = watched.drift()["alarms"]
    assert any(one.startswith("output score: ") for one in told)
    assert any(one.startswith("output label: ") for one in told)
    assert not any(one.startswith("feature left") for one in told)
    place = {"model": "m", "version": "3", "side": "input", "feature": "right"}

    def on_the_page() -> bool:
        families = classic(watched.client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.labels == place]
        return any(sample.name == "plimsoll_drift_alarm" and sample.value == 1 for sample in samples)

    until(on_the_page)
    until((watched.directory / "state.json").exists)
    state = json.loads((watched.directory / "state.json").read_text())
    assert state["alarms"]
    raised = [line for line in watched.lines("drift.jsonl") if line["event"] == "drift-raised"]
    assert {line["digest"] for line in raised} == {DIGEST}


@pytest.mark.slow
def test_late_labels_give_accuracy_and_an_alarm_when_it_is_worse_than_promised(watched: Watched) -> None:
    random = np.random.default_rng(6)
    rows = random.normal(size=(120, 2)).tolist()
    answer = watched.infer(rows, id="batch-1").json()
    right = next(output["data"] for output in answer["outputs"] if output["name"] == "label")
    words = ["above" if value else "below" for value in right]
    wrong = {"above": "below", "below": "above"}
    labels = [
        {"id": "batch-1", "row": row, "label": word if row % 2 else wrong[word]} for row, word in enumerate(words)
    ]

    def joined() -> dict[str, int]:
        told: dict[str, int] = watched.client.post(
            "/v2/feedback", json={"labels": [*labels, {"id": "nobody", "label": "above"}]}
        ).json()
        return told if told["joined"] else {}

    assert until(joined) == {"joined": 120, "unmatched": 1}
    until(lambda: watched.drift()["labels"] == 120, 60)
    told = watched.drift()
    assert told["scores"]["accuracy"] == 0.5
    assert any(one.startswith("accuracy 0.50 on the newest 120 labels, 0.90 was promised") for one in told["alarms"])
    assert watched.client.post("/v2/feedback", json={"labels": labels}).json() == {"joined": 0, "unmatched": 120}


def test_an_id_that_waits_for_its_label_is_refused_to_another_request(watched: Watched) -> None:
    assert watched.infer([[1, 2]], id="mine").status_code == 200

    refused = until(lambda: next((one for one in [watched.infer([[2, 1]], id="mine")] if one.status_code != 200), None))

    assert refused is not None
    assert refused.status_code == 409
    assert "the id 'mine' is that of another request, which waits for its label" in refused.json()["error"]
    assert watched.infer([[1, 2]], id="mine").status_code == 200
    assert watched.infer([[2, 1]], id="").status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b'{"labels": [{"id": 5}]}', b'{"labels": [{"id": "x", "label": []}]}'])
def test_invalid_feedback_is_refused_with_a_reason(watched: Watched, body: bytes) -> None:
    answer = watched.client.post("/v2/feedback", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not valid feedback")


def test_an_altered_reference_is_refused(tmp_path: Path, watched: Watched) -> None:
    from plimsoll.errors import TargetError
    from plimsoll.telemetry.drift.build_reference import read_reference

    content = (watched.directory / "reference.json").read_bytes()
    (tmp_path / "altered.json").write_bytes(content.replace(b'"rows":3000', b'"rows":9000'))
    with pytest.raises(TargetError, match="altered"):
        read_reference(tmp_path / "altered.json")


def test_versions_that_come_and_go_are_watched_as_the_followed_file_says(watched: Watched, tmp_path: Path) -> None:
    file = tmp_path / "drift.json"
    file.write_text("[]")
    observer = watch(drift_file=str(file))

    def versions() -> list[str]:
        observer.answered([])
        return [one["version"] for one in json.loads(observer.respond("GET", "/v2/drift", b"").body)["versions"]]

    try:
        assert versions() == []
        entries = [{"reference": str(watched.directory / "reference.json"), "version": number} for number in ("1", "2")]
        replace_file(file, json.dumps(entries).encode())
        assert versions() == ["1", "2"]
        replace_file(file, json.dumps([entries[1], {"reference": "nowhere", "version": "3"}]).encode())
        assert versions() == ["2"]
        replace_file(file, b"no list")
        assert versions() == ["2"]
    finally:
        observer.close()
