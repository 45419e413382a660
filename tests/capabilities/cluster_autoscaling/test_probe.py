"""A pod that waits brings a node that works, and its end removes it: by an autoscaler in memory, right or wrong."""

from __future__ import annotations

import pytest

from plimsoll.capabilities.cluster_autoscaling import probe
from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from tests.capabilities.clusters.devices import RESOURCE
from tests.capabilities.clusters.network import shell
from tests.capabilities.clusters.nodes import Pod
from tests.capabilities.clusters.pools import POOL, Autoscaler, Machine, pool
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

NODES = "cluster_autoscaling"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_UP_LIMIT", 150.0)
    monkeypatch.setattr(probe, "_DOWN_LIMIT", 250.0)


def check(scene: Scene) -> Verdict:
    verdict = scene.check(NODES)
    assert scene.left() == []
    return verdict


def test_a_pool_that_grows_for_a_pod_and_shrinks_after_it_passes(scene: Scene) -> None:
    pool(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith(f"1 → 2 → 1 nodes of {POOL}")


class NeverAdds(Autoscaler):
    def grow(self, waiting: list[Manifest], nodes: int) -> None:
        """Leaves the pod waiting."""


class NeverRemoves(Autoscaler):
    def shrink(self, world: World, nodes: list[Manifest], used: set[str | None]) -> None:
        """Leaves the node."""


class NeverReady(Autoscaler):
    def bring(self, name: str, *, ready: bool = True) -> None:
        super().bring(name, ready=False)

    def shrink(self, world: World, nodes: list[Manifest], used: set[str | None]) -> None:
        """Leaves the node: it waits for it to become ready."""


class RemovesTheOldOne(Autoscaler):
    """Takes the node that was there in place of the new one."""

    def shrink(self, world: World, nodes: list[Manifest], used: set[str | None]) -> None:
        if len(nodes) > 1 and f"{POOL}-1" not in used:
            world.hand.delete(nodes[0])


@pytest.mark.parametrize(
    ("autoscaler", "cause"),
    [
        (NeverAdds, "a pending pod brought no node"),
        (NeverReady, "the pod ran on no node, which is not a new one"),
        (NeverRemoves, "a new node stayed when its pod was deleted"),
        (RemovesTheOldOne, "a new node stayed when its pod was deleted"),
    ],
)
def test_a_pool_that_does_not_follow_its_pods_fails(scene: Scene, autoscaler: type[Autoscaler], cause: str) -> None:
    pool(scene, autoscaler(scene))
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, cause)


class Phantom(Machine):
    """Calls pods Running and runs none."""

    def starts(self, pod: Pod, said: str) -> None:
        """Does nothing."""


class Mute(Machine):
    """Runs pods that nobody reaches."""

    def starts(self, pod: Pod, said: str) -> None:
        pod.print(said)


class Rehearsed(Machine):
    """Knows an answer before it is asked for it."""

    def starts(self, pod: Pod, said: str) -> None:
        pod.print(said)
        pod.serve(shell(lambda command: said.replace("worked out", "answer")))


class Guesses(Machine):
    """Prints some number."""

    def starts(self, pod: Pod, said: str) -> None:
        pod.print("worked out 42")


@pytest.mark.parametrize(
    ("machine", "cause"),
    [
        (Phantom, f"nothing runs on the new node {POOL}-2: it may be only an object"),
        (Guesses, f"nothing runs on the new node {POOL}-2: it may be only an object"),
        (Mute, f"the pod on the new node {POOL}-2 does not answer over the network"),
        (Rehearsed, f"the pod on the new node {POOL}-2 does not answer over the network"),
    ],
)
def test_a_node_that_is_only_an_object_fails(scene: Scene, machine: type[Machine], cause: str) -> None:
    pool(scene, machine=machine())
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, cause)


def test_a_pool_with_room_for_every_pod_shows_nothing(scene: Scene) -> None:
    pool(scene, room=40)
    verdict = check(scene)
    assert (verdict.outcome, "had room for every pod" in verdict.cause) == (Outcome.ENVIRONMENT_ERROR, True)


def test_a_pod_that_somebody_else_makes_room_for_did_not_bring_its_node(scene: Scene) -> None:
    class MakesRoom(NeverAdds):
        """Has the first node hold more, so that the pod starts on an old one."""

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            if len(world.hand.list("v1", "Pod", selector="app=pod-1")) == 1:
                node = world.hand.get("v1", "Node", f"{POOL}-1")
                if node["status"]["allocatable"]["plimsoll.dev/accelerator"] == "1":
                    room = {**node["status"]["allocatable"], "plimsoll.dev/accelerator": "2"}
                    world.hand.set_status(node, {"allocatable": room})

    pool(scene, MakesRoom(scene))
    assert check(scene).outcome is Outcome.FAIL


def test_a_node_that_is_still_on_its_way_in_is_waited_for(scene: Scene) -> None:
    class StillComes(Autoscaler):
        """Has brought a node for somebody else, whose devices are not known yet."""

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            super().reconcile(world, found, gone=gone)
            node = world.hand.get("v1", "Node", f"{POOL}-1")
            if "karpenter.sh/registered" not in node["metadata"]["labels"]:
                began = self.scene.clock.now
                self.ready_at = began + 40
                self.label(world, registered="true")
                world.hand.set_status(node, {"allocatable": {**node["status"]["allocatable"], RESOURCE: "0"}})
            elif self.scene.clock.now >= self.ready_at and "karpenter.sh/initialized" not in node["metadata"]["labels"]:
                world.hand.set_status(node, {"allocatable": {**node["status"]["allocatable"], RESOURCE: "1"}})
                self.label(world, initialized="true")

        def label(self, world: World, **labels: str) -> None:
            node = world.hand.get("v1", "Node", f"{POOL}-1")
            added = {f"karpenter.sh/{name}": value for name, value in labels.items()}
            world.hand.change(node, lambda live: live["metadata"]["labels"].update(added))

    pool(scene, StillComes(scene))
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith(f"1 → 2 → 1 nodes of {POOL}")


def test_a_pod_that_gets_the_place_of_anothers_is_followed_by_one_that_brings_a_node(scene: Scene) -> None:
    class Leaves(Autoscaler):
        """Somebody else's pod leaves the first node while the first pod waits."""

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            if world.hand.list("v1", "Pod", selector="app=pod-0"):
                node = world.hand.get("v1", "Node", f"{POOL}-1")
                world.hand.set_status(node, {"allocatable": {**node["status"]["allocatable"], RESOURCE: "1"}})
            super().reconcile(world, found, gone=gone)

    pool(scene, Leaves(scene), room=0)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
