"""A light lab: Kubernetes over SQLite on one node, beside another lab, behind a link that is slowed and cut."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.build import cache
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from tests.lab.cluster import run_lab, until

pytestmark = [pytest.mark.lab, pytest.mark.series]
NAME = "plimsoll-light"
ENVIRONMENT = {**os.environ, "PLIMSOLL_LAB_NAME": NAME}
KUBECONFIG = Path("/var/lib") / NAME / "kubeconfig"


@pytest.fixture(scope="module")
def light() -> Iterator[None]:
    """A light lab that is there for the module."""
    if not cache.is_built(BY_NAME["kine"]):
        pytest.skip("kine is not built; 'make test-all' builds it")
    made = run_lab("up", "--light", environment=ENVIRONMENT)
    assert made.returncode == 0, made.stderr
    yield
    run_lab("down", environment=ENVIRONMENT)


def _kubectl(*words: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
    command = [str(folder_of(BY_NAME["kubernetes"]) / "kubectl"), f"--request-timeout={limit:.0f}s", *words]
    environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit + 30, check=False)


def _programs() -> dict[str, int | None]:
    shown = run_lab("status", "--output", "json", environment=ENVIRONMENT)
    machines = {each["name"]: each["programs"] for each in json.loads(shown.stdout)["machines"]}
    found: dict[str, int | None] = machines["control-plane"]
    return found


def test_a_light_lab_has_one_node_and_its_objects_in_sqlite(light: None) -> None:
    assert "kine" in _programs()
    assert "etcd" not in _programs()
    nodes = json.loads(_kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [each["metadata"]["name"] for each in nodes] == ["node-1"]


def test_a_light_lab_knows_after_a_kill_what_it_knew(light: None) -> None:
    assert _kubectl("create", "configmap", "memory", "--from-literal=word=kept").returncode == 0
    subprocess.run(["pkill", "-KILL", "-f", f"kine --listen-address=unix:///var/lib/{NAME}/"], check=True)
    until(lambda: bool(_programs()["kine"]), what="the restart of kine")
    until(lambda: "kept" in _kubectl("get", "configmap", "memory", "-o", "json").stdout, limit=60, what="the object")


def test_up_repairs_a_light_lab_as_one(light: None) -> None:
    again = run_lab("up", environment=ENVIRONMENT)
    assert again.returncode == 0, again.stderr
    assert "kine" in _programs()


def test_a_link_that_is_cut_is_silent_and_works_again_once_mended(light: None) -> None:
    assert run_lab("link", "cut", environment=ENVIRONMENT).returncode == 0
    try:
        assert "link cut" in run_lab("status", environment=ENVIRONMENT).stdout
        until(lambda: _kubectl("get", "nodes", limit=2).returncode != 0, limit=30, what="silence")
    finally:
        assert run_lab("link", "mend", environment=ENVIRONMENT).returncode == 0
    until(lambda: _kubectl("get", "nodes", limit=5).returncode == 0, limit=60, what="the way back")


def test_a_slow_link_takes_the_time_that_its_rate_says(light: None) -> None:
    content = f"--from-literal=text={os.urandom(60_000).hex()}"
    assert run_lab("link", "slow", "--rate", "200kbit", environment=ENVIRONMENT).returncode == 0
    try:
        time.sleep(0.5)
        began = time.monotonic()
        made = _kubectl("create", "configmap", "large", content, limit=60)
        took = time.monotonic() - began
    finally:
        run_lab("link", "mend", environment=ENVIRONMENT)
    assert made.returncode == 0, made.stderr
    # 120,000 characters, at least 960,000 bits: no machine is quicker than the link.
    assert took > 4.5


def test_wrong_words_for_a_link_are_refused(light: None) -> None:
    for words in (["slow"], ["slow", "--rate", "fast"], ["slow", "--rate", "0Mbit"], ["slow", "--delay", "-3ms"]):
        wrong = run_lab("link", *words, environment=ENVIRONMENT)
        assert wrong.returncode in (1, 2)
        assert "Traceback" not in wrong.stderr
