"""Declared metrics are collected and the others are not: by a Prometheus in memory, right or wrong in one way."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from plimsoll.capabilities.ai_service_metrics import probe
from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.monitors import Prometheus, Sample, Workloads, prometheus
from tests.capabilities.clusters.network import Asked, Said
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

METRICS = "ai_service_metrics"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_COLLECTED_LIMIT", 80.0)
    monkeypatch.setattr(probe, "_FOLLOWED_LIMIT", 30.0)


def check(scene: Scene) -> Verdict:
    verdict = scene.check(METRICS)
    assert scene.left() == []
    assert scene.cluster.list("monitoring.coreos.com/v1", "PodMonitor") == []
    return verdict


def test_a_prometheus_that_collects_what_is_declared_passes(scene: Scene) -> None:
    prometheus(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith("collected by servicemonitor, podmonitor after ")


class Annotated(Prometheus):
    """Knows annotated pods too."""

    def targets(self) -> set[str]:
        found = super().targets()
        return {*found, "annotation"} if found else found


def test_a_prometheus_that_knows_annotations_too_passes_by_three_ways(scene: Scene) -> None:
    prometheus(scene, Annotated(scene, Workloads(scene)))
    assert check(scene).figure.startswith("collected by servicemonitor, podmonitor, annotation after ")


class Everything(Prometheus):
    def targets(self) -> set[str]:
        return set(self.workloads.samples)


class Nothing(Prometheus):
    def targets(self) -> set[str]:
        return set()


class Ten(Prometheus):
    """Answers every query with ten."""

    def collected(self, series: str) -> Iterable[Sample]:
        return [Sample(pod="any", series=series, who="podmonitor", token="0", value=10)]


class Once(Prometheus):
    """Repeats the first answer for a series for ever: a page that was collected once."""

    def __init__(self, scene: Scene, workloads: Workloads) -> None:
        super().__init__(scene, workloads)
        self._first: dict[str, list[Sample]] = {}

    def collected(self, series: str) -> Iterable[Sample]:
        if not self._first.get(series):
            self._first[series] = list(super().collected(series))
        return self._first[series]


class OneWayOnce(Once):
    """Follows the value of one workload only."""

    def collected(self, series: str) -> Iterable[Sample]:
        now = {each.pod: each for each in Prometheus.collected(self, series)}
        return [now[each.pod] if each.pod == "podmonitor" else each for each in super().collected(series)]


class OtherLabels(Prometheus):
    def collected(self, series: str) -> Iterable[Sample]:
        return [msgspec.structs.replace(each, token="another") for each in super().collected(series)]


class Rounded(Prometheus):
    def collected(self, series: str) -> Iterable[Sample]:
        return [msgspec.structs.replace(each, value=each.value // 7 * 7 + 3) for each in super().collected(series)]


class Unreachable(Prometheus):
    def serve(self, asked: Asked) -> Said | None:
        return None


class NoJson(Prometheus):
    def serve(self, asked: Asked) -> Said | None:
        return Said(body="<html>please log in</html>")


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (Everything, "Prometheus collected an undeclared workload too"),
        (Nothing, "no declared workload was collected"),
        (Unreachable, "no declared workload was collected"),
        (NoJson, "no declared workload was collected"),
        (Ten, "the collected value or label differs from the served one"),
        (OtherLabels, "the collected value or label differs from the served one"),
        (Rounded, "the collected value or label differs from the served one"),
        (Once, "the collected value does not follow the served one"),
        (OneWayOnce, "the collected value does not follow the served one"),
    ],
)
def test_a_prometheus_that_does_not_measure_fails(scene: Scene, found: type[Prometheus], cause: str) -> None:
    prometheus(scene, found(scene, Workloads(scene)))
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert verdict.cause.startswith(cause)


def test_a_workload_that_does_not_start_is_no_failure_of_prometheus(scene: Scene) -> None:
    def never(pod: Pod) -> State | None:
        return State.STARTS if pod.name == "podmonitor" else None

    prometheus(scene)
    scene.nodes.programs.insert(0, never)
    verdict = check(scene)
    assert (verdict.outcome, "podmonitor did not start" in verdict.cause) == (Outcome.ENVIRONMENT_ERROR, True)


def test_a_workload_that_cannot_be_told_to_change_shows_nothing(scene: Scene) -> None:
    class Deaf(Workloads):
        def told(self, pod: str, command: str) -> str:
            return "sh: not found\n"

    prometheus(scene, workloads=Deaf(scene))
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.UNKNOWN, "not every workload changed its value")
