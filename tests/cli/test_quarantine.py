"""A version that goes into quarantine while it serves, with callers who have to show who they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .conftest import Plimsoll, answer
from .test_up import SPEC, Up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GUARDED = SPEC.replace("{model: m}", "{model: m, auth: {tokens: tokens.json}, telemetry: {audit: true}}")


@pytest.fixture
def up(tmp_path: Path, plimsoll: Plimsoll) -> Iterator[Up]:
    yield Up(tmp_path, plimsoll, GUARDED)
    plimsoll("down")


@pytest.mark.series
def test_a_blocked_version_leaves_the_service_at_once_and_comes_back_by_no_way_until_it_is_lifted(up: Up) -> None:
    made = answer(up.plimsoll("token", "create", "shop", "--role", "infer", "--file", "tokens.json", "--json"))
    headers = {"Authorization": f"Bearer {made['token']}"}
    up.train(10)
    url = answer(up.plimsoll("up", "--json"))["services"]["m"]["url"]
    assert up.train(11)["taken_over"][0]["moved"]

    tensor = {"name": "i", "datatype": "INT64", "shape": [1], "data": [1]}
    body = {"inputs": [tensor]}
    assert httpx.post(f"{url}/v2/models/m/infer", json=body).status_code == 401
    statuses: list[int] = []
    ending = threading.Event()

    def ask() -> None:
        with httpx.Client(headers=headers, timeout=30) as client:
            while not ending.is_set():
                statuses.append(client.post(f"{url}/v2/models/m/infer", json=body).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        blocked = up.plimsoll("quarantine", "m", "--reason", "wrong answers")
        assert blocked.returncode == 0, blocked.stderr
        assert "requests go from m@2 to m@1" in blocked.stdout
    finally:
        ending.set()
        asking.join()
    assert set(statuses) == {200}

    def served() -> str:
        return str(httpx.post(f"{url}/v2/models/m/infer", json=body, headers=headers).json()["model_version"])

    assert served() == "1"
    for again in (("promote", "m@2"), ("rollback", "m")):
        refused = up.plimsoll(*again)
        assert refused.returncode != 0
        assert "in quarantine since" in refused.stderr or "no way back" in refused.stderr or "m@2" in refused.stderr
    up.plimsoll("up")
    up.train(11)
    assert served() == "1"
    assert "m@2 is in quarantine since" in up.plimsoll("status").stdout
    assert "quarantine" in up.plimsoll("models").stdout
    assert up.plimsoll("models", "m@2", "--push", "127.0.0.1:1/m").returncode != 0

    assert up.plimsoll("quarantine", "--version", "m@2", "--lift").returncode == 0
    assert "m@2 is accepted and not in service" in up.plimsoll("status").stdout
    assert up.plimsoll("audit", "verify").returncode == 0
    lines = [json.loads(each) for each in (up.directory / ".plimsoll/logs/m/audit.jsonl").read_text().splitlines()]
    assert {each["who"]["user"] for each in lines if each.get("status") == 200 and each["event"] == "inference"} >= {
        "token:shop"
    }
