"""A service on a cluster has no server while there are no requests, and starts one for the first request."""

from __future__ import annotations

import json
import time

import pytest

from lab.kubectl import get
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up
from tests.lab.kubernetes.conftest import Application

pytestmark = pytest.mark.lab
ADDONS = ("jobset", "kueue", "gateway", "registry")
BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 1]}]})


def test_a_service_goes_to_zero_and_the_next_request_is_answered(
    up: Up, application: Application, namespace: Namespace
) -> None:
    up("keda", *ADDONS)
    application.change("toy: {model: toy,", "toy: {model: toy, scale: {min: 0, max: 2}, latency: {p99: 100ms},")
    plan = application.plimsoll("plan", "--target", "lab")
    assert "to zero by KEDA" in plan.stdout, plan.stdout + plan.stderr
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: not _servers(application), limit=180, what="the end of the last server")
    assert "toy is running at http" in application.plimsoll("status", "--target", "lab").stdout
    namespace.pod("client")
    gateway = get("gateway", f"{application.name}-plimsoll", namespace=application.name)
    began = time.monotonic()
    assert _ask(namespace, f"{gateway['status']['addresses'][0]['value']}/toy") == "200"
    assert time.monotonic() - began < 60
    assert _servers(application)
    again = application.plimsoll("run", "--target", "lab", "--json")
    assert all(each["cached"] for each in json.loads(again.stdout)["steps"]), again.stdout
    until(lambda: not _servers(application), limit=180, what="the end of the last server again")
    assert len(application.predictions("lab")) > 0
    removed = application.plimsoll("down", "--target", "lab")
    assert removed.returncode == 0, removed.stderr
    until(lambda: not application.left(), limit=60, what="the end of everything")


def _servers(application: Application) -> list[str]:
    """The pods that serve, including ending ones: an answer from an ending pod would prove nothing."""
    labelled = {each["metadata"]["name"]: each["metadata"]["labels"] for each in get("pod", namespace=application.name)}
    serving = {name: labels for name, labels in labelled.items() if labels.get("plimsoll.dev/service") == "toy"}
    return [name for name, labels in serving.items() if labels.get("plimsoll.dev/version") != "activator"]


def _ask(namespace: Namespace, address: str) -> str:
    command = ("curl", "-s", "-m", "120", "-o", "/dev/null", "-w", "%{http_code}", "-d", BODY)
    return namespace.execute("client", *command, f"http://{address}/v2/models/toy/infer", limit=130).stdout


def test_without_keda_it_is_said_before_anything_is_made(up: Up, application: Application) -> None:
    up(*ADDONS)
    installed = {each["metadata"]["name"] for each in get("customresourcedefinitions")}
    if "scaledobjects.keda.sh" in installed:
        pytest.skip("KEDA is installed in this lab")
    application.change("toy: {model: toy,", "toy: {model: toy, scale: {min: 0, max: 2},")
    done = application.plimsoll("run", "--target", "lab")
    assert done.returncode == 2
    assert "which lab does not support: KEDA is not installed" in done.stderr
    assert "plimsoll.yaml:" in done.stderr
    assert not application.left()
