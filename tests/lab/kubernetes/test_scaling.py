"""A service on a cluster follows its load: more servers while requests wait, and then one again."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from lab.kubectl import get
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import Application
from tests.runtime.conftest import lookup_model

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        os.environ.get("PLIMSOLL_LAB_BUILD") != "--all",
        reason="takes three minutes of waiting: 'make test-all' runs it",
    ),
]
ADDONS = ("jobset", "kueue", "registry", "custom-metrics")
CLIENTS = 8
WORK = 400
"""Products of matrices in one request: some tens of milliseconds."""


def test_servers_become_more_by_the_requests_that_wait_and_one_again(
    up: Up, application: Application, namespace: Namespace
) -> None:
    up(*ADDONS)
    text = (application.directory / "plimsoll.yaml").read_text().partition("  batches:")[0]
    scaled = "toy: {model: toy, scale: {min: 1, max: 3, concurrency: 2},"
    (application.directory / "plimsoll.yaml").write_text(text.replace("toy: {model: toy,", scaled))
    lookup_model(application.directory / "prepared.onnx", WORK)
    done = application.plimsoll("run", "--target", "lab", "--prefer", "service")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _replicas(application) == 1
    namespace.pod("client")
    body = json.dumps({"inputs": [{"name": "i", "datatype": "INT64", "shape": [64], "data": [1] * 64}]})
    url = f"http://{application.name}-toy.{application.name}.svc/v2/models/toy/infer"
    ask = f"while [ ! -e /tmp/stop ]; do curl -s -o /dev/null -m 20 -d '{body}' '{url}?[1-20]'; done"
    loop = " ".join([f"({ask}) >/dev/null 2>&1 &" for _ in range(CLIENTS)])
    namespace.execute("client", "sh", "-c", f"rm -f /tmp/stop; {loop} echo started")
    until(lambda: _replicas(application) == 3, limit=240, what="three servers")
    # Between two rounds the autoscaler may have no metric, as a new server has no figures yet.
    until(
        lambda: "plimsoll_requests_under_way" in _read(application),
        limit=60,
        what="the metric that the autoscaler uses",
    )
    namespace.execute("client", "touch", "/tmp/stop")
    until(lambda: _replicas(application) == 1, limit=300, what="one server again")


def _replicas(application: Application) -> int:
    found = get("deployment", f"{application.name}-toy", namespace=application.name)
    return int(found.get("status", {}).get("readyReplicas", 0))


def _read(application: Application) -> list[str]:
    """The names of the pod metrics that the autoscaler has read."""
    found: dict[str, Any] = get("hpa", f"{application.name}-toy", namespace=application.name)
    return [each["pods"]["metric"]["name"] for each in found["status"].get("currentMetrics", []) if "pods" in each]
