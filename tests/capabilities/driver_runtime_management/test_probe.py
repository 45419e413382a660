"""The driver that a node advertises is the one in its containers: right, or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.claims import Claims, accelerators
from tests.capabilities.clusters.devices import DRIVER, NODE, Device, Rack
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

MANAGED = "driver_runtime_management"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(MANAGED)
    assert scene.left() == []
    return verdict


@pytest.mark.parametrize("plugin", [3, 0], ids=["device plugin", "claims alone"])
def test_a_version_that_is_advertised_and_seen_passes(scene: Scene, plugin: int) -> None:
    accelerators(scene, plugin=plugin)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.PASS, "node-1: 1.2.3 advertised and seen")


def test_a_version_that_no_container_has_fails(scene: Scene) -> None:
    class Updated(Rack):
        version = "2.0.0"

    accelerators(scene, Updated(scene))
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "node-1: 1.2.3 advertised, 2.0.0 in a container")


def test_a_container_that_shows_no_version_shows_nothing(scene: Scene) -> None:
    class Mute(Rack):
        version = ""

    accelerators(scene, Mute(scene))
    assert check(scene).outcome is Outcome.UNKNOWN


def test_a_node_that_advertises_several_versions_fails(scene: Scene) -> None:
    accelerators(scene)
    (found,) = scene.cluster.list("resource.k8s.io/v1", "ResourceSlice")
    found["spec"]["devices"][0]["attributes"]["driverVersion"] = {"version": "0.9.0"}
    scene.cluster.put(found)
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, "node-1 advertises several versions")


def test_a_node_that_advertises_no_version_fails(scene: Scene) -> None:
    accelerators(scene, claimed=())
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "node-1: none")


def test_one_node_of_two_with_another_driver_is_found(scene: Scene) -> None:
    accelerators(scene)
    scene.cluster.add_node("node-2", extended={"plimsoll.dev/accelerator": 1})
    device = {"name": "gpu-9", "attributes": {"driverVersion": {"version": "0.9.0"}}}
    spec = {"driver": DRIVER, "nodeName": "node-2", "pool": {"name": "node-2"}, "devices": [device]}
    kind = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice"}
    scene.cluster.put({**kind, "metadata": {"name": "second"}, "spec": spec})
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "node-2: 0.9.0 advertised, 1.2.3 in a container")


def test_devices_that_are_all_held_are_no_failure(scene: Scene) -> None:
    class Full(Claims):
        def is_free(self, device: Device, held: list[Device]) -> bool:
            return False

    accelerators(scene, claims=Full(), plugin=0)
    verdict = check(scene)
    assert (verdict.outcome, verdict.remedy) == (Outcome.ENVIRONMENT_ERROR, "free one")
    assert NODE in verdict.cause
