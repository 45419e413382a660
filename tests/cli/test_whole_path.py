"""The starter application from nothing to predictions, as a new user meets it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .conftest import ENVIRONMENT, Plimsoll, answer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def starter(tmp_path: Path, plimsoll: Plimsoll) -> Plimsoll:
    assert plimsoll("init").returncode in {0, 2}
    directory = tmp_path / "pumps"
    assert plimsoll("init", "pumps").returncode == 0

    def inside(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return plimsoll(arguments[0], "-f", str(directory), *arguments[1:], **environment)

    return inside


@pytest.mark.slow
def test_a_new_application_runs_to_predictions(tmp_path: Path, starter: Plimsoll) -> None:
    told = answer(starter("run", "--json"))
    assert told["state"] == "done", told
    assert told["models"]["wear"]["accepted"] is True
    assert (
        told["models"]["wear"]["metrics"]["accuracy"] > told["models"]["wear"]["metrics"]["baseline_majority_accuracy"]
    )
    assert told["services"]["wear"]["url"] is None
    assert told["batches"]["backlog"]["rows"] == 120

    live = tmp_path / "pumps" / ".plimsoll" / "latest" / "run" / "features" / "live.csv"
    table = starter("predict", "wear", "--input", str(live)).stdout.splitlines()
    assert table[0].split() == ["row", "id", "label", "probability"]
    assert len(table) == 121
    online = answer(starter("predict", "wear", "--input", str(live), "--json"))["predictions"]
    batch = (tmp_path / "pumps" / ".plimsoll" / "latest" / "score" / "backlog" / "predictions.csv").read_text()
    scored = list(csv.DictReader(batch.splitlines()))
    assert [(row["id"], row["label"]) for row in scored] == [(row["id"], row["label"]) for row in online]

    assert "wear@1" in starter("models").stdout
    assert "signature, manifest, lineage" in starter("models", "wear", "--verify").stdout
    digest = answer(starter("models", "wear@1", "--json"))["files"]["model.onnx"]["digest"]
    blob = tmp_path / "pumps/.plimsoll/registry/blobs" / digest.replace(":", "/")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    refused = starter("predict", "wear", "--input", str(live))
    assert refused.returncode == 1
    assert "was altered" in refused.stderr


@pytest.mark.slow
def test_a_model_below_its_bounds_is_registered_and_never_served(tmp_path: Path, starter: Plimsoll) -> None:
    path = tmp_path / "pumps" / "plimsoll.yaml"
    path.write_text(path.read_text().replace('">= 0.8"', '">= 0.999"'))
    told = answer(starter("run", "--json"))
    assert told["state"] == "failed"
    assert told["models"]["wear"]["accepted"] is False
    states = {step["name"]: step["state"] for step in told["steps"]}
    assert states["register/wear"] == "done"
    assert states["serve/wear"] == states["score/backlog"] == "failed"
    assert "may not be served: accuracy is" in next(s["reason"] for s in told["steps"] if s["name"] == "serve/wear")


def reloaded(url: str, authorization: str = "") -> int:
    """The status of a call that loads the model again."""
    headers = {"authorization": authorization} if authorization else {}
    address = f"{url}/v2/repository/models/wear/load"
    asked = urllib.request.Request(address, b"{}", headers, method="POST")
    try:
        with urllib.request.urlopen(asked) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.slow
def test_watching_keeps_a_service_up_and_brings_it_back_when_it_dies(tmp_path: Path, starter: Plimsoll) -> None:
    argv = [sys.executable, "-m", "plimsoll", "run", "-f", str(tmp_path / "pumps"), "--watch"]
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    watching = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def service(unlike: str | None = None) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            told = starter("status", "--json")
            url = json.loads(told.stdout).get("services", {}).get("wear", {}).get("url")
            if url and url != unlike:
                return str(url)
            time.sleep(0.2)
        raise AssertionError("no service came up")

    url = service()
    with urllib.request.urlopen(f"{url}/v2/models/wear/ready") as ready:
        assert ready.status == 200
    token = tmp_path / "pumps/.plimsoll/services/wear.token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert reloaded(url) == 403
    assert reloaded(url, "Bearer of nothing") == 403
    assert reloaded(url, f"Bearer {token.read_text().strip()}") == 200
    pid = json.loads((tmp_path / "pumps/.plimsoll/services/wear.json").read_text())["pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    again = service(unlike=url)
    with urllib.request.urlopen(f"{again}/v2/health/live") as live:
        assert live.status == 200
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=20)
    assert watching.returncode == 0, errors
    assert starter("status", "--json").stdout
    assert not (tmp_path / "pumps/.plimsoll/services/wear.json").exists()


@pytest.mark.slow
def test_a_service_that_watches_drift_is_told_of_in_status(tmp_path: Path, starter: Plimsoll) -> None:
    path = tmp_path / "pumps" / "plimsoll.yaml"
    watched = "wear: {model: wear, drift: {reference: features/train.csv}, telemetry: {audit: true}}"
    path.write_text(path.read_text().replace("    wear: {model: wear}", f"    {watched}"))
    argv = [sys.executable, "-m", "plimsoll", "run", "-f", str(path.parent), "--watch"]
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    watching = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    live = path.parent / ".plimsoll/latest/run/features/live.csv"
    kept = path.parent / ".plimsoll/drift"
    try:
        deadline = time.monotonic() + 100
        drift: list[dict[str, object]] = []
        while not drift:
            assert watching.poll() is None
            assert time.monotonic() < deadline
            told = json.loads(starter("status", "--json").stdout)
            if told.get("services", {}).get("wear", {}).get("url"):
                starter("predict", "wear", "--input", str(live))
                drift = json.loads(starter("status", "--json").stdout)["services"]["wear"].get("drift", [])
            time.sleep(0.2)
    finally:
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=30)
    assert watching.returncode == 0, errors
    assert (drift[0]["model"], drift[0]["version"]) == ("wear", "1")
    assert len([file for file in kept.iterdir() if not file.name.endswith(".state.json")]) == 1
    monitoring = path.parent / ".plimsoll/latest/serve/wear"
    assert {file.name for file in monitoring.iterdir()} == {"alerts.yaml", "dashboard.json"}
    audit = [json.loads(line) for line in (path.parent / ".plimsoll/logs/wear/audit.jsonl").read_text().splitlines()]
    audit = [line for line in audit if line["event"] == "inference"]
    assert audit[0]["digest"].startswith("sha256:")
