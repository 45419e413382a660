"""A node pool for a cluster in memory, and the autoscaler that brings and removes its nodes."""

from __future__ import annotations

import re

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import is_over
from tests.capabilities.clusters.clock import LEASES
from tests.capabilities.clusters.devices import RESOURCE
from tests.capabilities.clusters.network import shell
from tests.capabilities.clusters.nodes import Pod, State, products
from tests.capabilities.clusters.scene import Scene

POOL, LABEL = "accelerated", "karpenter.sh/nodepool"
_MOST = 3
_STARTS, _LEAVES = 60.0, 120.0


class Autoscaler:
    """Brings a node for a pod that waits for one, and removes it when it has been empty for a while."""

    kinds = frozenset({LEASES})

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._asked: float | None = None
        self._empty: dict[str, float] = {}

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        pods = [each for each in world.hand.list("v1", "Pod") if not is_over(each)]
        nodes = world.hand.list("v1", "Node", selector=f"{LABEL}={POOL}")
        waiting = [each for each in pods if LABEL in each["spec"].get("nodeSelector", {})]
        self.grow([each for each in waiting if not each["spec"].get("nodeName")], len(nodes))
        self.shrink(world, nodes, {each["spec"].get("nodeName") for each in waiting})

    def grow(self, waiting: list[Manifest], nodes: int) -> None:
        """Bring a node some time after a pod began to wait."""
        now = self.scene.clock.now
        self._asked = (self._asked or now) if waiting else None
        if self._asked is not None and now - self._asked >= _STARTS and nodes < _MOST:
            self.bring(f"{POOL}-{nodes + 1}")

    def bring(self, name: str, *, ready: bool = True) -> None:
        """Add a node to the pool."""
        self.scene.cluster.add_node(name, extended={RESOURCE: 1}, labels={LABEL: POOL}, ready=ready)
        self._asked = None

    def shrink(self, world: World, nodes: list[Manifest], used: set[str | None]) -> None:
        """Remove nodes that were empty for long enough, and that it brought itself."""
        now = self.scene.clock.now
        for each in nodes:
            name = each["metadata"]["name"]
            since = self._empty.setdefault(name, now)
            if name in used:
                self._empty[name] = now
            elif now - since >= _LEAVES and name != f"{POOL}-1":
                world.hand.delete(each)


class Machine:
    """What runs on the nodes of the pool. A subclass does something wrong."""

    def run(self, pod: Pod) -> State | None:
        """The program of a pod that works out a number when it starts, and others when it is asked."""
        found = re.match(r"echo (worked out \S+) on", pod.script)
        if not found:
            return None
        self.starts(pod, products(found[1]))
        return State.LASTS

    def starts(self, pod: Pod, said: str) -> None:
        """Have a pod do its work."""
        pod.print(said)
        pod.serve(shell(lambda command: f"{products(command).removeprefix('echo ')}\n"))


def pool(scene: Scene, autoscaler: Autoscaler | None = None, machine: Machine | None = None, *, room: int = 1) -> None:
    """A pool with one node, which has `room` for so many pods, beside a node for everything else."""
    scene.serve("karpenter")
    scene.cluster.add_node("node-1")
    scene.cluster.add_node(f"{POOL}-1", extended={RESOURCE: room}, labels={LABEL: POOL})
    spec = {"limits": {RESOURCE: str(_MOST)}, "template": {"metadata": {"labels": {}}}}
    scene.cluster.put({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": POOL}, "spec": spec})
    scene.nodes.programs.insert(0, (machine or Machine()).run)
    scene.run(autoscaler or Autoscaler(scene))
