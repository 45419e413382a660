"""An exporter's metrics follow the load of each device: right, or wrong in one way."""

from __future__ import annotations

import random
import re

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.claims import accelerators
from tests.capabilities.clusters.devices import IDENTITIES, NODE, PLUGIN
from tests.capabilities.clusters.exporters import LOADED, Exporter, exporters
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

METRICS = "accelerator_metrics"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(METRICS)
    assert scene.left() == []
    return verdict


def test_metrics_that_follow_the_load_of_one_device_pass(scene: Scene) -> None:
    exporters(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith(f"{len(IDENTITIES)} devices; +95% on the loaded one")
    assert re.search(r"; memory \+(\d+) MiB on the held device for \1 MiB$", verdict.figure)


class Static(Exporter):
    def utilization(self, device: str, number: int) -> float | None:
        return 0.01 * number


class StaticHigh(Exporter):
    def utilization(self, device: str, number: int) -> float | None:
        return 0.9


class CollectedOnce(Exporter):
    """A page that was collected once, and is served ever after."""

    def page(self) -> str:
        self._kept = getattr(self, "_kept", None) or super().page()
        return self._kept


class Random(Exporter):
    def __init__(self) -> None:
        super().__init__()
        self._random = random.Random(5)

    def utilization(self, device: str, number: int) -> float | None:
        return round(self._random.random(), 3)


class ByTheClock(Exporter):
    """Rises and falls by itself."""

    def utilization(self, device: str, number: int) -> float | None:
        return 0.9 if self.second % 8 < 4 else 0.0


class OtherDevice(Exporter):
    """Shows each device under the name of the next one."""

    def name(self, device: str) -> str:
        return IDENTITIES[(IDENTITIES.index(device) + 1) % len(IDENTITIES)]


class Everywhere(Exporter):
    """Shows the highest value for every device."""

    def utilization(self, device: str, number: int) -> float | None:
        return super().utilization(LOADED, 0)


class NeverFalls(Exporter):
    """Keeps the highest value that there was."""

    def utilization(self, device: str, number: int) -> float | None:
        found = super().utilization(device, number) or 0.0
        self._most = max(getattr(self, "_most", 0.0), found) if device == LOADED else getattr(self, "_most", 0.0)
        return self._most if device == LOADED else found


class OneMissing(Exporter):
    def utilization(self, device: str, number: int) -> float | None:
        return None if device == PLUGIN[1].uuid else super().utilization(device, number)


class OneNameForAll(Exporter):
    def name(self, device: str) -> str:
        return LOADED


class Percent(Exporter):
    """Counts to a hundred where one is full."""

    def utilization(self, device: str, number: int) -> float | None:
        return 100 * (super().utilization(device, number) or 0.0)


class NotANumber(Exporter):
    def utilization(self, device: str, number: int) -> float | None:
        return float("nan")


class ConstantMemory(Exporter):
    """Tells the truth of utilization, and always the same memory."""

    def memory(self, device: str, number: int) -> float:
        return 512 << 20


class RandomMemory(Random):
    def utilization(self, device: str, number: int) -> float | None:
        return Exporter.utilization(self, device, number)

    def memory(self, device: str, number: int) -> float:
        return int(self._random.random() * (64 << 20))


class MemoryByUtilization(Exporter):
    def memory(self, device: str, number: int) -> float:
        return (self.utilization(device, number) or 0) * (32 << 20)


class MemoryEverywhere(Exporter):
    def memory(self, device: str, number: int) -> float:
        return super().memory(LOADED, number)


class MemoryOfAnother(Exporter):
    def memory(self, device: str, number: int) -> float:
        return super().memory(IDENTITIES[IDENTITIES.index(device) - 1], number)


class MemoryGuessed(Exporter):
    """Sees that something is held, and not how much."""

    def memory(self, device: str, number: int) -> float:
        return 4 << 20 if self.held and device == LOADED else 0


class MemoryNeverFreed(Exporter):
    def memory(self, device: str, number: int) -> float:
        self._most = max(getattr(self, "_most", 0.0), super().memory(LOADED, number))
        return self._most if device == LOADED else super().memory(device, number)


@pytest.mark.parametrize(
    ("exporter", "cause"),
    [
        (Static, "the metrics do not follow the load"),
        (StaticHigh, "the metrics do not follow the load"),
        (CollectedOnce, "the metrics do not follow the load"),
        (Random, "the metrics change by themselves"),
        (ByTheClock, "the metrics change by themselves"),
        (OtherDevice, "the metrics do not follow the load"),
        (Everywhere, "another device's utilization rose too"),
        (NeverFalls, "the utilization stays when the load is gone"),
        (OneMissing, f"not every accelerator of {NODE} has its own series of utilization"),
        (OneNameForAll, f"not every accelerator of {NODE} has its own series of utilization"),
        (Percent, "the value of utilization is out of range"),
        (NotANumber, "the value of utilization is out of range"),
        (ConstantMemory, "the memory does not follow what is held"),
        (RandomMemory, "the memory changes by itself"),
        (MemoryByUtilization, "the memory does not follow what is held"),
        (MemoryEverywhere, "another device's memory changed too"),
        (MemoryOfAnother, "the memory does not follow what is held"),
        (MemoryGuessed, "the memory does not follow what is held"),
        (MemoryNeverFreed, "the memory stays when it is given back"),
    ],
)
def test_a_page_that_does_not_measure_fails(scene: Scene, exporter: type[Exporter], cause: str) -> None:
    exporters(scene, exporter())
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert verdict.cause.startswith(cause)


class NotGivenBack(Exporter):
    """Memory that cannot be given back in this container."""

    def told(self, command: str) -> str:
        return "sh: blkdiscard: not found\n" if "blkdiscard" in command else super().told(command)


def test_memory_that_cannot_be_given_back_is_judged_by_its_rise(scene: Scene) -> None:
    exporters(scene, NotGivenBack())
    assert check(scene).outcome is Outcome.PASS


def test_memory_that_was_taken_before_and_cannot_be_given_back_shows_nothing(scene: Scene) -> None:
    class TakenBefore(NotGivenBack):
        def memory(self, device: str, number: int) -> float:
            return 64 << 20

    exporters(scene, TakenBefore())
    assert check(scene).outcome is Outcome.UNKNOWN


def test_a_holder_that_takes_no_memory_shows_nothing(scene: Scene) -> None:
    class TakesNone(Exporter):
        def told(self, command: str) -> str:
            return "sh: dd: cannot\n" if command.startswith("dd") else super().told(command)

    exporters(scene, TakesNone())
    assert check(scene).outcome is Outcome.UNKNOWN


def test_a_static_page_beside_an_exporter_that_measures_does_no_harm(scene: Scene) -> None:
    measuring = Exporter()
    exporters(scene, measuring)

    def page(pod: Pod) -> State | None:
        return Static().run(pod) if pod.name == "exporter-9" else None

    scene.nodes.programs.insert(0, page)
    container = {"name": "main", "image": "example.com/exporter:1", "ports": [{"containerPort": 9400}]}
    metadata = {"name": "exporter-9", "namespace": "default"}
    spec = {"containers": [container], "nodeName": NODE}
    scene.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS
    assert "; besides, http://" in verdict.figure


def test_a_node_whose_pods_serve_no_metrics_fails(scene: Scene) -> None:
    accelerators(scene)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, f"0 of {len(IDENTITIES)} devices")


def test_a_load_that_does_not_start_is_no_failure_of_the_exporter(scene: Scene) -> None:
    def never(pod: Pod) -> State | None:
        return State.STARTS if pod.name == "load" else None

    exporters(scene)
    scene.nodes.programs.insert(0, never)
    assert check(scene).outcome is Outcome.ENVIRONMENT_ERROR


def test_a_load_that_does_not_run_shows_nothing(scene: Scene) -> None:
    class Idle(Exporter):
        def told(self, command: str) -> str:
            return "sh: /tmp/did: no such file\n" if "rm" in command else ""

    exporters(scene, Idle())
    assert check(scene).outcome is Outcome.UNKNOWN
