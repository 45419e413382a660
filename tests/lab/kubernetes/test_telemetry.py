"""A service on a cluster reports drift, an audit log and metrics, as a local service does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.kubectl import kubectl
from tests.lab.cluster import until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import ROWS, Application

pytestmark = pytest.mark.lab
ADDONS = ("jobset", "kueue", "gateway", "registry")
FAR = 5_000
"""Rows far from all that the reference has."""


@pytest.mark.series
def test_a_service_on_a_cluster_tells_of_drift_and_writes_its_audit_log(up: Up, application: Application) -> None:
    up(*ADDONS)
    path = application.directory / "plimsoll.yaml"
    path.write_text(path.read_text().partition("  batches:")[0])
    application.change("toy: {model: toy,", "toy: {model: toy, drift: {reference: table}, telemetry: {audit: true},")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(application.predictions("lab")) == ROWS
    (before,) = _drift(application)
    assert (before["model"], before["version"], before["alarms"]) == ("toy", "1", [])
    rows = "".join(f"{10_000 + row},{500 + row % 7}\n" for row in range(FAR))
    (application.directory / "far.csv").write_text("left,right\n" + rows)
    asked = application.plimsoll("predict", "toy", "--input", "far.csv", "--target", "lab", "--json")
    assert asked.returncode == 0, asked.stderr
    until(lambda: _alarms(application), limit=60, what="an alarm")
    status = application.plimsoll("status", "--target", "lab")
    assert "version 1: feature" in status.stdout, status.stdout
    lines = [json.loads(line) for line in _server_log(application).splitlines() if line.startswith("{")]
    audit = [line for line in lines if line.get("event") == "inference"]
    assert audit[0]["digest"].startswith("sha256:")
    assert audit[0]["verdict"] == "answered"
    assert any(line.get("event") == "drift-raised" for line in lines)
    page = kubectl("get", "--raw", f"{_proxy(application)}/metrics")
    for name in ("http_server_request_duration_seconds_bucket", "plimsoll_drift_alarm", "plimsoll_requests_under_way"):
        assert name in page


def _drift(application: Application) -> list[dict[str, Any]]:
    told = json.loads(application.plimsoll("status", "--target", "lab", "--json").stdout)
    found: list[dict[str, Any]] = told["services"]["toy"]["drift"]
    return found


def _alarms(application: Application) -> list[str]:
    return [alarm for each in _drift(application) for alarm in each["alarms"]]


def _pod(application: Application) -> str:
    selector = "-lplimsoll.dev/service=toy"
    return kubectl("get", "pods", f"-n{application.name}", selector, "--output=name").split()[0].partition("/")[2]


def _server_log(application: Application) -> str:
    return kubectl("logs", _pod(application), f"-n{application.name}", "--container=server")


def _proxy(application: Application) -> str:
    return f"/api/v1/namespaces/{application.name}/pods/{_pod(application)}:8080/proxy"
