"""Replicas follow a metric of their pods: by an autoscaler in memory, right or wrong in one way."""

from __future__ import annotations

from fractions import Fraction

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from tests.capabilities.clusters.devices import NODE, RESOURCE
from tests.capabilities.clusters.monitors import Prometheus, Scaler, Workloads, custom_metrics
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

SCALED = "pod_autoscaling"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(SCALED)
    assert scene.left() == []
    assert scene.cluster.list("v1", "Pod") == []
    return verdict


def test_replicas_that_follow_the_drawn_value_pass(scene: Scene) -> None:
    custom_metrics(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith(f"1 → 2 → 1 pods with {RESOURCE}, by ")


class NeverAdds(Scaler):
    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        return 1


class NeverRemoves(Scaler):
    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        return max(replicas, super().wanted(value, replicas, target))


class Both(Scaler):
    """Scales every deployment as soon as one has a reason to."""

    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        self._most = max(getattr(self, "_most", Fraction()), value)
        return super().wanted(self._most, 1, target)


class AlwaysTwo(Scaler):
    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        return 2


class ByTheClock(Scaler):
    """Has a second pod every other minute, whatever the metric."""

    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        return 1 + int(self.prometheus.scene.clock.now // 60) % 2


class ConstantMetric(Scaler):
    def read(self, series: str, deployment: Manifest) -> Fraction | None:
        return Fraction(10)


class NoMetric(Scaler):
    def read(self, series: str, deployment: Manifest) -> Fraction | None:
        return None


class AtAnotherValue(Scaler):
    """Scales by the value, and reports another one."""

    def written(self, value: Fraction) -> str:
        return "1" if value == 1 else "777"


class ByHand(Scaler):
    """Measures nothing: replicas and values are set by a script that knows the steps of a check."""

    def scale(self, world: World, autoscaler: Manifest, deployment: Manifest) -> None:
        self._since = getattr(self, "_since", self.prometheus.scene.clock.now)
        high = deployment["metadata"]["name"] == "scaled" and self.prometheus.scene.clock.now - self._since > 100
        current = {"type": "Pods", "pods": {"current": {"averageValue": "4000" if high else "1"}}}
        if (autoscaler.get("status") or {}).get("currentMetrics") != [current]:
            world.hand.set_status(autoscaler, {"currentMetrics": [current]})
        if deployment["spec"]["replicas"] != 1 + high:
            world.hand.change(deployment, lambda live: live["spec"].update(replicas=1 + high))


@pytest.mark.parametrize(
    ("scaler", "cause"),
    [
        (NeverAdds, "the autoscaler read the value and did not scale up"),
        (NeverRemoves, "the autoscaler did not scale down when the value fell"),
        (Both, "a twin whose metric stayed low grew too"),
        (AlwaysTwo, "the deployment grew before there was a reason to"),
        (ByTheClock, "the deployment grew before there was a reason to"),
        (ConstantMetric, "the autoscaler read another value"),
        (NoMetric, "the autoscaler read no value of the pods' metric"),
        (AtAnotherValue, "the autoscaler read another value"),
        (ByHand, "the autoscaler read another value"),
    ],
)
def test_an_autoscaler_that_follows_something_else_fails(scene: Scene, scaler: type[Scaler], cause: str) -> None:
    custom_metrics(scene, scaler)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert verdict.cause.startswith(cause)


def test_a_metric_that_was_collected_once_does_not_scale(scene: Scene) -> None:
    class Once(Prometheus):
        def collected(self, series: str) -> object:  # type: ignore[override]
            self._first = getattr(self, "_first", None) or list(super().collected(series))
            return self._first

    custom_metrics(scene, found=Once(scene, Workloads(scene)))
    assert check(scene).outcome is Outcome.FAIL


def test_a_device_that_somebody_took_since_is_no_failure_of_the_autoscaler(scene: Scene) -> None:
    custom_metrics(scene)
    facts = scene.facts()
    for number in range(3):
        limits = {RESOURCE: "1"}
        container = {"name": "main", "image": "work:1", "resources": {"limits": limits, "requests": limits}}
        metadata = {"name": f"other-{number}", "namespace": "default"}
        spec = {"containers": [container], "nodeName": NODE}
        scene.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    verdict = scene.check(SCALED, facts)
    assert (verdict.outcome, scene.left()) == (Outcome.ENVIRONMENT_ERROR, [])
    assert "no pod with an accelerator started" in verdict.cause


def test_devices_that_are_all_held_are_found_by_the_inventory(scene: Scene) -> None:
    custom_metrics(scene)
    limits = {RESOURCE: "2"}
    container = {"name": "main", "image": "work:1", "resources": {"limits": limits, "requests": limits}}
    spec = {"containers": [container], "nodeName": NODE}
    metadata = {"name": "other", "namespace": "default"}
    scene.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    verdict = scene.check(SCALED)
    assert (verdict.outcome, scene.events(SCALED)) == (Outcome.ENVIRONMENT_ERROR, ["decided"])
