"""An application on a cluster, seen and taken down from a directory in which nothing has ever run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_on_a_cluster import FILE, Plimsoll, bench, cluster, place, plimsoll
from tests.targets.kubernetes.promotion_bench import Bench

__all__ = ["bench", "cluster", "place", "plimsoll"]
pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path, bench: Bench, plimsoll: Plimsoll, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone of the application's repository, in which the command is."""
    made = tmp_path / "clone"
    made.mkdir()
    (made / "plimsoll.yaml").write_text(FILE % "triage")
    (made / "train.py").write_text("")
    monkeypatch.chdir(made)
    return made


def test_what_is_up_is_seen_and_taken_down_from_a_fresh_clone(clone: Path, bench: Bench, plimsoll: Plimsoll) -> None:
    seen = plimsoll("status")
    assert seen.status == 0, seen.err
    first, second = seen.out.splitlines()[:2]
    assert first == "no run on memory was started from this directory"
    assert second.startswith("triage is running at http://")
    told = json.loads(plimsoll("status", "--json").out)
    assert list(told["services"]) == ["triage"]
    ended = plimsoll("down")
    assert (ended.status, ended.err) == (0, "")
    assert "Deployment/app-triage" in ended.out
    assert dict(bench.specs()) == {}
    assert not (clone / ".plimsoll").exists()


def test_a_service_that_somebody_has_taken_the_way_to_is_not_called_up(bench: Bench, plimsoll: Plimsoll) -> None:
    bench.cluster.delete(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app-triage", "namespace": "app"}}
    )
    told = plimsoll("status").out
    assert "triage is running" not in told
    reason = "triage cannot be reached: Service app-triage is gone; `plimsoll run -f plimsoll.yaml --target memory`"
    assert reason in told
    found = json.loads(plimsoll("status", "--json").out)
    assert found["problems"] == {"triage": "Service app-triage is gone"}


def test_what_is_changed_of_a_running_service_is_told(bench: Bench, plimsoll: Plimsoll) -> None:
    bench.cluster.delete(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "app-triage", "namespace": "app"},
        }
    )
    told = plimsoll("status").out
    assert "triage is running" in told
    assert "  PodDisruptionBudget app-triage is gone" in told.splitlines()
