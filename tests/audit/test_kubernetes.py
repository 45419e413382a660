"""A cluster's audit log joined with the calls of a service, through the verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plimsoll.audit import kubernetes
from plimsoll.errors import PlimsollError
from plimsoll.targets.kubernetes import names

from .test_verb import application, audit

__all__ = ["application"]

LABELS = {names.MANAGER: "plimsoll", names.APPLICATION: "shop", names.SERVICE: "triage"}


def event(audit_id: str, at: str, user: str = "eve", **words: Any) -> dict[str, Any]:
    reference = {"resource": "deployments", "apiGroup": "apps", "namespace": "shop", "name": "shop-triage"}
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": audit_id,
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": user},
        "sourceIPs": ["192.0.2.1"],
        "objectRef": {**reference, **words.pop("ref", {})},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": f"2026-01-01T{at}.000000Z",
        **words,
    }


def written(place: Path, *events: Any) -> str:
    path = place / "kube-audit.log"
    path.write_bytes(
        b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in events)
    )
    return str(path)


def with_labels(labels: dict[str, str], **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "shop-triage", "labels": labels, "annotations": annotations}}


def found(application: Path, log: str, *words: str) -> dict[str, Any]:
    done = audit(application, "query", "--kubernetes", log, "--json", *words)
    assert done.exception is None, done.exception
    return dict(json.loads(done.output)["cluster"])


def test_events_are_joined_by_object_with_a_run_and_by_user_and_time_with_calls(application: Path) -> None:
    log = written(
        application,
        event("1", "09:00:00", requestObject=with_labels(LABELS, **{names.RUN: "r-7"})),
        event("2", "09:30:00", "mallory", verb="delete"),
        event("3", "10:00:03", "ada", verb="list", ref={"resource": "secrets", "apiGroup": "", "name": ""}),
        event("4", "10:00:30", "ada", ref={"name": "else"}),
        event("5", "10:00:01", "bob", ref={"name": "else"}),
    )

    joined = found(application, log)

    assert [(each["audit_id"], each["run"], len(each["calls"])) for each in joined["events"]] == [
        ("1", "r-7", 0),
        ("2", "r-7", 0),
        ("3", "", 1),
    ]
    assert joined["events"][1]["user"] == "mallory"
    assert joined["events"][2]["calls"][0].endswith("audit.jsonl:2")
    assert (joined["others"], joined["unreadable"]) == (2, 0)
    assert len(found(application, log, "--within", "60")["events"]) == 4


def test_the_last_stage_of_a_request_counts(application: Path) -> None:
    told = with_labels(LABELS)
    log = written(
        application,
        event("1", "09:00:00", stage="ResponseComplete", responseStatus={"code": 403}, requestObject=told),
        event("1", "09:00:00", stage="RequestReceived", responseStatus=None),
    )

    (only,) = found(application, log)["events"]

    assert (only["code"], only["stage"]) == (403, "ResponseComplete")


def test_an_object_whose_name_the_api_server_made_is_known_by_the_answer(application: Path) -> None:
    made = {"metadata": {"name": "shop-x7k2p", "labels": {**LABELS, names.RUN: "r-8"}}}
    log = written(
        application,
        event(
            "1", "09:00:00", verb="create", ref={"resource": "pods", "apiGroup": "", "name": ""}, responseObject=made
        ),
        event(
            "2",
            "09:10:00",
            verb="create",
            ref={"resource": "pods", "apiGroup": "", "name": "shop-x7k2p", "subresource": "exec"},
        ),
    )

    found_events = found(application, log)["events"]

    assert [(each["object"], each["run"]) for each in found_events] == [
        ("pods shop/shop-x7k2p", "r-8"),
        ("pods/exec shop/shop-x7k2p", "r-8"),
    ]


def test_who_acts_for_somebody_is_joined_as_that_person(application: Path) -> None:
    log = written(application, event("1", "10:00:00", "root", impersonatedUser={"username": "ada"}))

    (only,) = found(application, log)["events"]

    assert (only["user"], len(only["calls"])) == ("ada", 1)


def test_a_list_of_events_is_read_and_lines_that_are_none_are_counted(application: Path) -> None:
    told = event("1", "09:00:00", requestObject=with_labels(LABELS))
    listed = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [told, event("2", "09:01:00")]}
    lines = (b"", b"{", b"[" * 5000, b"\xff", b'{"kind": "Event"}', {"kind": "Event", "apiVersion": "audit.k8s.io/v1"})
    log = written(application, listed, *lines)

    joined = found(application, log)

    assert [each["audit_id"] for each in joined["events"]] == ["1", "2"]
    assert joined["unreadable"] == len(lines)
    assert "6 lines are no events" in audit(application, "query", "--kubernetes", log).output


def test_events_are_asked_for_as_calls_are(application: Path) -> None:
    told = with_labels(LABELS)
    log = written(
        application,
        event("1", "09:00:00", requestObject=told),
        event("2", "10:00:01", "ada", responseStatus={"code": 403}),
    )

    assert [each["audit_id"] for each in found(application, log, "--status", "4xx")["events"]] == ["2"]
    assert [each["audit_id"] for each in found(application, log, "--caller", "eve")["events"]] == ["1"]
    assert [each["audit_id"] for each in found(application, log, "--model", "triage")["events"]] == ["2"]
    assert found(application, log, "--until", "2026-01-01T08:00")["events"] == []


@pytest.mark.parametrize("form", ["ocsf", "cef"])
def test_events_are_exported_beside_the_calls(application: Path, form: str) -> None:
    told = with_labels(LABELS, **{names.RUN: "r-7"})
    log = written(application, event("a-1", "09:00:00", "eve|=\n", requestObject=told))

    lines = audit(application, "export", "--kubernetes", log, "--format", form).output.splitlines()

    assert len(lines) == 4
    if form == "ocsf":
        last = json.loads(lines[-1])
        assert (last["class_uid"], last["activity_name"], last["metadata"]["uid"]) == (6003, "Update", "a-1")
        assert last["unmapped"]["plimsoll"] == {"application": "shop", "service": "triage", "run": "r-7"}
    else:
        assert lines[-1].startswith("CEF:0|Kubernetes|kube-apiserver|")
        assert "suser=eve|\\=\\n" in lines[-1]
        assert "cs2=r-7" in lines[-1]


def test_more_events_than_are_held_at_once_are_refused(application: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "MOST_EVENTS", 2)
    log = written(application, *(event(str(number), "09:00:00") for number in range(4)))

    error = audit(application, "query", "--kubernetes", log).exception

    assert isinstance(error, PlimsollError)
    assert "more than 2 events" in str(error)


def test_the_labels_are_those_of_the_cluster() -> None:
    assert (kubernetes.APPLICATION, kubernetes.SERVICE, kubernetes.RUN, kubernetes.MANAGER) == (
        names.APPLICATION,
        names.SERVICE,
        names.RUN,
        names.MANAGER,
    )
