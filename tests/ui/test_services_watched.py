"""Services over time: what the counters of their servers say between two looks, here and on a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plimsoll.errors import TargetError
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.port import Target
from plimsoll.targets.table import target_of
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.version_counts import VersionCounts, counts_in
from plimsoll.ui.service_watch import SAMPLES, ServiceWatch
from tests.servers import registry
from tests.targets.kubernetes.promotion_bench import Bench, bench_on, quicken

INF = float("inf")
PAGE = """\
# TYPE plimsoll_drift_distance gauge
plimsoll_drift_distance{feature="age",model="m",side="input",statistic="ks",version="1"} 0.25
plimsoll_drift_distance{feature="age",model="m",side="input",statistic="outside",version="1"} 0.5
plimsoll_drift_distance{feature="bmi",model="m",side="input",statistic="ks",version="1"} 0.125
"""


def counts(good: int, bad: int = 0, *, slow: int = 0, labels: int = 0) -> VersionCounts:
    latencies = {0.005: float(good + bad - slow), 0.5: float(good + bad), INF: float(good + bad)}
    codes = {"200": float(good), "503": float(bad)}
    return VersionCounts(codes=codes, latencies=latencies, labels=labels, accuracy=0.75, loaded=True)


class Served:
    """A target with one service, whose counters a test sets."""

    def __init__(self, directory: Path) -> None:
        self.now: dict[str, VersionCounts] = {}
        self.down = ""
        self.state = SimpleNamespace(registry=directory)
        self.features: Any = self
        self.model, self.closed = "m", 0

    def __contains__(self, feature: object) -> bool:
        return feature is TRAFFIC

    def require(self, _: object) -> Any:
        return lambda *_: self

    def services(self) -> Mapping[str, str]:
        if self.down:
            raise TargetError(self.down)
        return {"m": "http://127.0.0.1:1"} if self.now else {}

    def problems(self) -> Mapping[str, str]:
        return {"lost": "its route is gone"} if self.now else {}

    def waits(self) -> tuple[str, ...]:
        return ("the servers wait for an image",)

    def run_note(self) -> str:
        return ""

    def service_notes(self, _: str) -> tuple[str, ...]:
        return ("a promotion goes on",)

    def drift(self, _: str) -> tuple[DriftState, ...]:
        return (DriftState(model="m", version="1", rows=10, skipped=0, windows=1, alarms=("age is older",)),)

    def leading(self) -> str:
        return "1"

    def former(self) -> str:
        return "2"

    def all_counts(self) -> Mapping[str, VersionCounts]:
        return {**self.now, "3": VersionCounts()}

    def close(self) -> None:
        self.closed += 1


def watched(served: Served) -> tuple[ServiceWatch, list[float]]:
    clock = [1000.0]
    return ServiceWatch(lambda: cast("Target", served), lambda: clock[0]), clock


def test_a_sample_is_what_happened_between_two_looks(tmp_path: Path) -> None:
    served = Served(tmp_path)
    watch, clock = watched(served)
    served.now = {"1": counts(1000), "2": counts(0)}
    watch.look()
    assert cast("dict[str, Any]", watch.service_page("m"))["samples"] == []
    served.now = {"1": counts(1090, 10, slow=5, labels=8), "2": counts(300)}
    clock[0] += 10
    watch.look()
    page = cast("dict[str, Any]", watch.service_page("m"))
    (sample,) = page["samples"]
    first = sample["versions"]["1"]
    assert (first["rate"], first["failed"], first["p50"], first["p99"]) == (10.0, 1.0, 0.005, 0.5)
    assert (first["labels"], first["accuracy"]) == (8, 0.75)
    assert page["shares"] == {"1": 0.25, "2": 0.75}
    assert page["buckets"]["1"] == {"0.005": 1095.0, "0.5": 5.0, "+Inf": 0.0}
    assert (page["former"], page["notes"]) == ("2", ["a promotion goes on"])
    assert page["drift"][0]["words"] == ["age is older"]


def test_a_server_that_starts_anew_counts_from_nothing(tmp_path: Path) -> None:
    served = Served(tmp_path)
    watch, clock = watched(served)
    for number in (1000, 50):
        served.now = {"1": counts(number)}
        clock[0] += 10
        watch.look()
    (sample,) = cast("dict[str, Any]", watch.service_page("m"))["samples"]
    assert sample["versions"]["1"]["rate"] == 5.0


def test_what_cannot_be_asked_is_told_and_services_that_ended_are_gone(tmp_path: Path) -> None:
    served = Served(tmp_path)
    watch, _ = watched(served)
    assert watch.page()["looked"] is False
    served.now = {"1": counts(1)}
    watch.look()
    services = cast("list[dict[str, Any]]", watch.page()["services"])
    assert {each["name"]: each["problem"] for each in services} == {"m": "", "lost": "its route is gone"}
    assert watch.page()["waits"] == ["the servers wait for an image"]
    served.down = "the cluster does not answer"
    watch.look()
    assert watch.page()["problem"] == "the cluster does not answer"
    served.down, served.now = "", {}
    watch.look()
    assert watch.page() | {"waits": []} == {"services": [], "looked": True, "problem": "", "waits": [], "run_note": ""}
    assert served.closed == 3


def test_samples_are_bounded(tmp_path: Path) -> None:
    served = Served(tmp_path)
    watch, clock = watched(served)
    for number in range(SAMPLES + 20):
        served.now = {"1": counts(number)}
        clock[0] += 5
        watch.look()
    assert len(cast("dict[str, Any]", watch.service_page("m"))["samples"]) == SAMPLES


def test_the_largest_distance_of_a_feature_counts() -> None:
    assert counts_in(PAGE, "m")["1"].distances == {"age": 0.5, "bmi": 0.125}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        (tmp_path / "registry").mkdir()
        place = stack.enter_context(registry(tmp_path / "registry"))
        cluster = stack.enter_context(MemoryCluster(["gateway"], directory=tmp_path))
        quicken(monkeypatch, cluster, tmp_path)
        host = f"{place.host}/tests"
        hosting = {"localRegistryHosting.v1": f"host: {host}\nhostFromClusterNetwork: {host}\n"}
        metadata = {"name": "local-registry-hosting", "namespace": "kube-public"}
        cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": hosting})
        yield stack.enter_context(bench_on(cluster, tmp_path, host))


@pytest.mark.slow
def test_a_service_on_a_cluster_is_watched_as_one_of_this_machine(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.with_gateway().serve()
    watch = ServiceWatch(lambda: target_of("memory", tmp_path, "app"))
    watch.look()
    watch.look()
    assert watch.problem == ""
    page = cast("dict[str, Any]", watch.service_page("triage"))
    assert (page["model"], page["leading"], page["problem"]) == ("triage", "1", "")
    assert page["shares"] == {"1": 1.0}
    assert page["samples"][0]["versions"]["1"]["rate"] > 0
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    watch.look()
    assert "none" in watch.problem or "memory" in watch.problem
