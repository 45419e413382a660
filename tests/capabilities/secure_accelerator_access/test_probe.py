"""An accelerator opens for its holder alone: on a node in memory that keeps it so, or breaks it in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.claims import accelerators
from tests.capabilities.clusters.devices import CLAIMED, NODE, PLUGIN, RESOURCE, Device, Rack
from tests.capabilities.clusters.nodes import Pod
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

ACCESS = "secure_accelerator_access"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(ACCESS)
    assert scene.left() == []
    return verdict


def test_devices_that_open_for_their_holders_alone_pass(scene: Scene) -> None:
    accelerators(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "device-plugin: 10 attempts" in verdict.figure
    assert "dra: 10 attempts" in verdict.figure


class OpenToAll(Rack):
    def opens(self, label: str, held: tuple[Device, ...], container: str) -> bool:
        return True


class OpenToStrangers(Rack):
    def opens(self, label: str, held: tuple[Device, ...], container: str) -> bool:
        return container == "stranger" or super().opens(label, held, container)


class OpenToSiblings(Rack):
    def opens(self, label: str, held: tuple[Device, ...], container: str) -> bool:
        return container == "sibling" or super().opens(label, held, container)


class SeenBySiblings(Rack):
    def sees(self, held: tuple[Device, ...], container: str) -> tuple[Device, ...]:
        return held


class SeenByAll(Rack):
    def sees(self, held: tuple[Device, ...], container: str) -> tuple[Device, ...]:
        return (*PLUGIN, *CLAIMED)


class PlainFiles(Rack):
    def kind_of_file(self) -> str:
        return "regular file"


class SameForAll(Rack):
    def give(self, pod: Pod) -> Device:
        return PLUGIN[0]


class TwinDevices(Rack):
    def reads(self, label: str) -> str:
        return f"{PLUGIN[0].digest} 64"


class SameForClaims(Rack):
    def given_for(self, device: Device) -> Device:
        return CLAIMED[0]


@pytest.mark.parametrize(
    ("rack", "cause"),
    [
        (OpenToAll, "could reach another pod's accelerator"),
        (OpenToStrangers, "could reach an accelerator that it did not request"),
        (OpenToSiblings, "could reach an accelerator that it did not request"),
        (SeenBySiblings, "could reach the device file of an accelerator"),
        (SeenByAll, "two holders were given the same device"),
        (PlainFiles, "the accelerator in a pod is a plain file"),
        (SameForAll, "two holders were given the same device"),
        (SameForClaims, "two holders were given the same device"),
        (TwinDevices, "two holders were given one device under two numbers"),
    ],
)
def test_a_device_that_somebody_else_gets_at_fails(scene: Scene, rack: type[Rack], cause: str) -> None:
    accelerators(scene, rack(scene))
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert cause in verdict.cause


def test_a_node_that_lets_nobody_make_device_nodes_shows_nothing(scene: Scene) -> None:
    class Closed(Rack):
        def opens(self, label: str, held: tuple[Device, ...], container: str) -> bool:
            return False

    accelerators(scene, Closed(scene))
    verdict = check(scene)
    assert (verdict.outcome, "the control failed" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_devices_that_return_only_zeros_are_not_taken_for_one_device(scene: Scene) -> None:
    class Zeros(Rack):
        def reads(self, label: str) -> str:
            return f"{'0' * 64} 0"

    accelerators(scene, Zeros(scene))
    assert check(scene).outcome is Outcome.PASS


def hold_one(scene: Scene) -> None:
    """Somebody else's pod with a device."""
    container = {
        "name": "main",
        "image": "work:1",
        "resources": {"limits": {RESOURCE: "1"}, "requests": {RESOURCE: "1"}},
    }
    metadata = {"name": "other", "namespace": "default"}
    spec = {"containers": [container], "nodeName": NODE}
    scene.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_a_second_device_that_somebody_took_since_is_no_failure(scene: Scene) -> None:
    accelerators(scene, plugin=2, claimed=())
    facts = scene.facts()
    hold_one(scene)
    verdict = scene.check(ACCESS, facts)
    assert (verdict.outcome, scene.left()) == (Outcome.ENVIRONMENT_ERROR, [])
    assert "did not both get an accelerator" in verdict.cause


def test_a_node_whose_devices_are_held_is_not_attacked_at_all(scene: Scene) -> None:
    accelerators(scene, plugin=2, claimed=())
    hold_one(scene)
    verdict = check(scene)
    assert (verdict.outcome, scene.events(ACCESS)) == (Outcome.ENVIRONMENT_ERROR, ["decided"])
