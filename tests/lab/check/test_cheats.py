"""No probe passes a cheat, and each passes the honest lab afterwards.

Every run tries one cheat of a device. All cheats take an hour: `make test-all`, or `python -m benchmarks.check --cheats`.
A cluster in memory tries each probe against its cheats: `tests/capabilities/*/test_probe.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import layout
from lab.cheats import catalogue
from lab.cheats.active import active_cheats
from lab.cheats.catalogue import CHEATS
from lab.kubectl import get
from plimsoll.capabilities.requirements import MUST, profile
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
# A device that a container without it can open is the cheat that only real containers show.
QUICK = ("openable-devices",)
LIMIT = 600.0
_honest: dict[str, str] = {}


@pytest.fixture(autouse=True)
def honest_again() -> Iterator[None]:
    yield
    for name in active_cheats():
        catalogue.switch_off(name)


def newest_profile(requirement: str) -> str:
    """The newest profile that has a requirement: the programme drops some."""
    return next(each for each in ("cncf-1.37", "cncf-1.34", "tenants") if requirement in profile(each))


def outcome(requirement: str, folder: Path) -> tuple[str, str]:
    """The verdict and cause of one requirement on the present lab."""
    command = [
        sys.executable,
        "-m",
        "plimsoll",
        "check",
        "--target=lab",
        f"--profile={newest_profile(requirement)}",
        f"--only={requirement}",
        "--json",
        "--timeout=420",
        f"--output={folder}",
    ]
    own = {**os.environ, "KUBECONFIG": str(layout.KUBECONFIG), "XDG_CONFIG_HOME": str(folder.parent / "config")}
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    found = {each["id"]: each for each in json.loads(done.stdout)["verdicts"]}[requirement]
    return str(found["verdict"]), str(found["cause"])


def bring(up: Up, name: str) -> None:
    up("jobset", "kueue", *CHEATS[name].needs, accelerated=1)


def test_every_must_has_at_least_two_cheats() -> None:
    for requirement, level in profile("cncf-1.37").items():
        if level == MUST:
            assert sum(each.requirement == requirement for each in CHEATS.values()) >= 2, requirement


def cheats() -> list[object]:
    marks = [pytest.mark.series, pytest.mark.timeout(1200)]
    return [name if name in QUICK else pytest.param(name, marks=marks) for name in CHEATS]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", cheats())
def test_a_cheat_does_not_pass_and_the_lab_is_honest_again_afterwards(up: Up, tmp_path: Path, name: str) -> None:
    bring(up, name)
    requirement = CHEATS[name].requirement
    catalogue.switch_on(name)
    assert active_cheats() == [name]
    verdict, cause = outcome(requirement, tmp_path / "cheating")
    assert verdict != "pass", name
    assert cause
    catalogue.switch_off(name)
    assert active_cheats() == []
    if requirement != "workload_sandboxing" and requirement not in _honest:
        _honest[requirement], cause = outcome(requirement, tmp_path / "honest")
        assert _honest[requirement] == "pass", cause


def test_a_cheat_that_was_killed_while_it_was_switched_on_is_undone_wholly(up: Up) -> None:
    bring(up, "dead-webhook")
    before = _webhooks()
    with subprocess.Popen([sys.executable, "-m", "lab", "cheat", "borrowed-name"]) as running:
        end = time.monotonic() + 20
        while _webhooks() == before and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    assert _webhooks() != before, "control: the cheat had started"
    catalogue.switch_off("borrowed-name")
    assert _webhooks() == before
    assert not get("validatingadmissionpolicies")


def _webhooks() -> list[object]:
    hooks = get("validatingwebhookconfiguration", "jobset-validating-webhook-configuration")["webhooks"]
    return [(each["failurePolicy"], each["clientConfig"]["service"]) for each in hooks]


def test_one_cheat_at_a_time_and_unknown_names_are_told(up: Up) -> None:
    bring(up, "dead-webhook")
    catalogue.switch_on("plain-sandbox")
    for words, name in (("plain-sandbox is on", "dead-webhook"), ("unknown cheat", "nobody")):
        done = subprocess.run([sys.executable, "-m", "lab", "cheat", name], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert words in done.stderr
