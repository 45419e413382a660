"""Prometheus for a cluster in memory, workloads that serve a metric, and the autoscaler that reads it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
from fractions import Fraction

import msgspec
from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, with_conditions
from tests.capabilities.clusters.claims import accelerators
from tests.capabilities.clusters.clock import LEASES
from tests.capabilities.clusters.network import Asked, Said, shell
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene, labels_of

MONITORING = "monitoring.coreos.com/v1"
PLACE = "monitoring"
SELECTED = {"release": "main"}
_LINE = re.compile(r'echo "(.*)" \| tee')
_SAMPLE = re.compile(r'(\w+?)(?:\{who="(\w*)",token="(\w*)"\})? (\d+)')
_DISCOVERY = 40.0


class Sample(Struct, frozen=True, kw_only=True):
    """One line of the page of a pod."""

    pod: str
    series: str
    who: str
    token: str
    value: int


class Workloads:
    """Runs pods that serve one metric, and change it when they are told to."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.random = random.Random(11)
        self.samples: dict[str, Sample] = {}

    def run(self, pod: Pod) -> State | None:
        """The program of such a pod."""
        line = _LINE.search(pod.script)
        if not line or "test-webserver" not in pod.script:
            return None
        token, value = f"{self.random.getrandbits(48):012x}", self._drawn(pod.script.partition("token=")[0])
        text = line[1].replace('\\"', '"').replace("$token", token).replace("$value", str(value))
        pod.print(text)
        found = _SAMPLE.match(text)
        assert found, text
        series, who, said, _ = found.groups()
        self.samples[pod.name] = Sample(pod=pod.name, series=series, who=who or "", token=said or "", value=value)
        pod.serve(shell(lambda command: self.told(pod.name, command)))
        return State.LASTS

    def told(self, pod: str, command: str) -> str:
        """Have a pod draw another value."""
        value = self._drawn(command)
        self.samples[pod] = msgspec.structs.replace(self.samples[pod], value=value)
        return f"drawn {value}\n"

    def _drawn(self, expression: str) -> int:
        if "urandom" not in expression:
            return 1
        value = self.random.randrange(65536)
        return value % 9000 + 1000 if "% 9000" in expression else value


class Prometheus:
    """Collects what ServiceMonitors and PodMonitors select, some time after they were declared.

    A subclass does something wrong.
    """

    def __init__(self, scene: Scene, workloads: Workloads) -> None:
        self.scene = scene
        self.workloads = workloads
        self._known: dict[str, float] = {}

    def serve(self, asked: Asked) -> Said | None:
        """Answer an instant query."""
        result = [self.shown(each) for each in self.collected(asked.query["query"])]
        return Said(body=msgspec.json.encode({"status": "success", "data": {"result": result}}).decode())

    def collected(self, series: str) -> Iterable[Sample]:
        """The samples of a series that it has."""
        pods = self.targets()
        return [each for each in self.workloads.samples.values() if each.series == series and each.pod in pods]

    def shown(self, sample: Sample) -> Manifest:
        """A sample as it stands in an answer."""
        metric = {"__name__": sample.series, "who": sample.who, "token": sample.token, "pod": sample.pod}
        return {"metric": metric, "value": [self.scene.clock.now, str(sample.value)]}

    def targets(self) -> set[str]:
        """The names of the pods that are scraped."""
        found: set[str] = set()
        cluster = self.scene.cluster
        for each in self._discovered("PodMonitor"):
            found |= self._pods(each, each["spec"]["selector"]["matchLabels"])
        for each in self._discovered("ServiceMonitor"):
            for service in cluster.list("v1", "Service", each["metadata"]["namespace"]):
                if each["spec"]["selector"]["matchLabels"].items() <= labels_of(service).items():
                    found |= self._pods(each, service["spec"]["selector"])
        return found

    def _discovered(self, kind: str) -> Iterable[Manifest]:
        now = self.scene.clock.now
        for each in self.scene.cluster.list(MONITORING, kind):
            since = self._known.setdefault(each["metadata"]["uid"], now)
            if SELECTED.items() <= labels_of(each).items() and now - since >= _DISCOVERY:
                yield each

    def _pods(self, monitor: Manifest, labels: dict[str, str]) -> set[str]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = self.scene.cluster.list("v1", "Pod", monitor["metadata"]["namespace"], selector)
        return {each["metadata"]["name"] for each in pods}


class Scaler:
    """The HorizontalPodAutoscaler: it reads custom metrics from Prometheus. A subclass does something wrong."""

    kinds = frozenset({LEASES})

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        for each in world.hand.list("autoscaling/v2", "HorizontalPodAutoscaler"):
            deployment = world.hand.find(
                "apps/v1", "Deployment", each["metadata"]["name"], each["metadata"]["namespace"]
            )
            if deployment is not None:
                self.scale(world, each, deployment)

    def scale(self, world: World, autoscaler: Manifest, deployment: Manifest) -> None:
        """Bring one deployment to what its metric asks for."""
        (metric,) = autoscaler["spec"]["metrics"]
        value = self.read(metric["pods"]["metric"]["name"], deployment)
        if value is None:
            told = condition("ScalingActive", true=False, reason="FailedGetPodsMetric", message="unable to get metric")
            world.hand.set_status(autoscaler, {"conditions": with_conditions(autoscaler, told)})
            return
        current = {"type": "Pods", "pods": {"current": {"averageValue": self.written(value)}}}
        if (autoscaler.get("status") or {}).get("currentMetrics") != [current]:
            world.hand.set_status(autoscaler, {"currentMetrics": [current]})
        target = int(metric["pods"]["target"]["averageValue"])
        wanted = self.wanted(value, deployment["spec"]["replicas"], target)
        wanted = min(max(wanted, autoscaler["spec"]["minReplicas"]), autoscaler["spec"]["maxReplicas"])
        if wanted != deployment["spec"]["replicas"]:
            world.hand.change(deployment, lambda live: live["spec"].update(replicas=wanted))

    def read(self, series: str, deployment: Manifest) -> Fraction | None:
        """The average of a metric over the pods of a deployment; `None` when nobody has it."""
        name = deployment["metadata"]["name"]
        values = [each.value for each in self.prometheus.collected(series) if each.pod.startswith(f"{name}-")]
        return Fraction(sum(values), len(values)) if values else None

    def wanted(self, value: Fraction, replicas: int, target: int) -> int:
        """How many replicas a value asks for."""
        return math.ceil(value * replicas / target)

    def written(self, value: Fraction) -> str:
        """A value as a quantity."""
        return str(value) if value.denominator == 1 else f"{int(value * 1000)}m"


def prometheus(scene: Scene, found: Prometheus | None = None, workloads: Workloads | None = None) -> Prometheus:
    """A Prometheus of the operator, on which workloads declare their metrics."""
    scene.serve("prometheus")
    if scene.cluster.find("v1", "Node", "node-1") is None:
        scene.cluster.add_node("node-1", cpu="64")
    running = workloads or (found.workloads if found else Workloads(scene))
    asked = found or Prometheus(scene, running)
    scene.nodes.programs.insert(0, running.run)
    labels = {"matchLabels": SELECTED}
    kind = {"apiVersion": MONITORING, "kind": "Prometheus", "metadata": {"name": "main", "namespace": PLACE}}
    scene.cluster.put({**kind, "spec": {"serviceMonitorSelector": labels, "podMonitorSelector": labels}})
    scene.network.listen(f"prometheus-operated.{PLACE}.svc", asked.serve)
    return asked


def custom_metrics(scene: Scene, scaler: type[Scaler] = Scaler, found: Prometheus | None = None) -> None:
    """Accelerators, Prometheus, and an autoscaler that is served its metrics."""
    accelerators(scene, claimed=())
    scene.cluster.serve("custom.metrics.k8s.io/v1beta1", "MetricValueList", "metrics")
    scene.run(scaler(prometheus(scene, found)))
