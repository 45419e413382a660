"""A light lab: Kubernetes over SQLite on one node, beside another lab, behind a link that is slowed and cut."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lab.cluster import until
from tests.lab.second_lab import NAME, light, light_kubectl, running_light_lab

pytestmark = [pytest.mark.lab, pytest.mark.series]


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    with running_light_lab():
        yield


def _programs() -> dict[str, int | None]:
    shown = light("status", "--output", "json")
    machines = {each["name"]: each["programs"] for each in json.loads(shown.stdout)["machines"]}
    found: dict[str, int | None] = machines["control-plane"]
    return found


def test_a_light_lab_has_one_node_and_its_objects_in_sqlite(lab: None) -> None:
    assert "kine" in _programs()
    assert "etcd" not in _programs()
    nodes = json.loads(light_kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [each["metadata"]["name"] for each in nodes] == ["node-1"]


def test_a_light_lab_knows_after_a_kill_what_it_knew(lab: None) -> None:
    assert light_kubectl("create", "configmap", "memory", "--from-literal=word=kept").returncode == 0
    subprocess.run(["pkill", "-KILL", "-f", f"kine --listen-address=unix:///var/lib/{NAME}/"], check=True)
    until(lambda: bool(_programs()["kine"]), what="the restart of kine")
    until(
        lambda: "kept" in light_kubectl("get", "configmap", "memory", "-o", "json").stdout, limit=60, what="the object"
    )


def test_up_repairs_a_light_lab_as_one(lab: None) -> None:
    again = light("up")
    assert again.returncode == 0, again.stderr
    assert "kine" in _programs()


def test_a_link_that_is_cut_is_silent_and_works_again_once_mended(lab: None) -> None:
    assert light("link", "cut").returncode == 0
    try:
        assert "link cut" in light("status").stdout
        until(lambda: light_kubectl("get", "nodes", limit=2).returncode != 0, limit=30, what="silence")
    finally:
        assert light("link", "mend").returncode == 0
    until(lambda: light_kubectl("get", "nodes", limit=5).returncode == 0, limit=60, what="the way back")


def test_a_slow_link_takes_the_time_that_its_rate_says(lab: None) -> None:
    content = f"--from-literal=text={os.urandom(60_000).hex()}"
    assert light("link", "slow", "--rate", "200kbit").returncode == 0
    try:
        time.sleep(0.5)
        began = time.monotonic()
        made = light_kubectl("create", "configmap", "large", content, limit=60)
        took = time.monotonic() - began
    finally:
        light("link", "mend")
    assert made.returncode == 0, made.stderr
    # 120,000 characters, at least 960,000 bits: no machine is quicker than the link.
    assert took > 4.5


def test_wrong_words_for_a_link_are_refused(lab: None) -> None:
    for words in (["slow"], ["slow", "--rate", "fast"], ["slow", "--rate", "0Mbit"], ["slow", "--delay", "-3ms"]):
        wrong = light("link", *words)
        assert wrong.returncode in (1, 2)
        assert "Traceback" not in wrong.stderr
