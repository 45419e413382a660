"""The nodes of a cluster in memory: what the pods of probes print and answer, worked out from their manifests."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_leaving, is_over, with_conditions
from tests.capabilities.clusters.clock import LEASES, Clock
from tests.capabilities.clusters.network import Network, Server

_PRODUCT = re.compile(r"\$\(\((\d+)\*(\d+)\)\)")


class State(Enum):
    """How a pod goes on after its program was asked."""

    LASTS = auto()
    ENDS = auto()
    FAILS = auto()
    STARTS = auto()
    """Not yet: the program is asked again at the next tick."""
    WORKS = auto()
    """It runs, and the program is asked again at the next tick."""


class Pod:
    """One pod, as its program sees it."""

    def __init__(self, cluster: MemoryCluster, network: Network, manifest: Manifest, address: str) -> None:
        self._cluster = cluster
        self.network = network
        self.manifest = manifest
        self.address = address
        self.name: str = manifest["metadata"]["name"]
        self.namespace: str = manifest["metadata"]["namespace"]
        self.node: str = manifest["spec"]["nodeName"]
        container = manifest["spec"]["containers"][0]
        self.script: str = container.get("command", [""])[-1]
        self.limits: Manifest = container.get("resources", {}).get("limits", {})

    def print(self, text: str, container: str = "") -> None:
        """Write lines to the log of a container, by default of the first one."""
        name = container or self.manifest["spec"]["containers"][0]["name"]
        self._cluster.log(self.namespace, self.name, name).write(text)

    def serve(self, server: Server) -> None:
        """Answer requests at the pod's address."""
        self.network.listen(self.address, server)


Program = Callable[[Pod], State | None]
"""What a pod does; `None` for a pod of another program."""


def products(script: str) -> str:
    """A script with its products worked out."""
    return _PRODUCT.sub(lambda found: str(int(found[1]) * int(found[2])), script)


def plain(pod: Pod) -> State | None:
    """Pods that wait, do nothing, or print a product; and clients of the network."""
    if not pod.script or re.search(r"^sleep \d+$", pod.script, re.MULTILINE):
        return State.LASTS
    if pod.script.startswith("curl ") or pod.script.splitlines()[-1] == "true":
        pod.print(pod.network.run(pod.script))
        return State.ENDS
    if found := re.search(r"echo (worked out \S+)$", pod.script):
        pod.print(products(found[1]))
        return State.ENDS
    return None


class Working:
    """Pods that sleep before they print a product."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def __call__(self, pod: Pod) -> State | None:
        found = re.search(r"^sleep (\d+); echo (worked out \S+)$", pod.script)
        if found is None:
            return None
        if self._clock.now < self._since.setdefault(pod.name, self._clock.now) + int(found[1]):
            return State.WORKS
        pod.print(products(found[2]))
        return State.ENDS


class Nodes:
    """Runs the pods of all nodes: the first program that knows a pod is its own. A pod that none knows is a defect."""

    kinds = frozenset({("", "pods"), LEASES})

    def __init__(self, cluster: MemoryCluster, network: Network, clock: Clock) -> None:
        self._cluster = cluster
        self._network = network
        self._states: dict[str, State] = {}
        self._addresses: dict[str, str] = {}
        self.programs: list[Program] = [Working(clock), plain]
        self.stopped: list[Callable[[Manifest], None]] = []

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """Start a pod, or see to its end; at a tick, go on with those that have not started yet."""
        if found["kind"] == "Lease":
            for each in world.hand.list("v1", "Pod"):
                if self._states.get(each["metadata"]["uid"]) in (State.STARTS, State.WORKS) and not is_leaving(each):
                    self._run(world, each)
            return
        uid = found["metadata"]["uid"]
        if gone:
            world.serving.logs.forget(found["metadata"]["namespace"], found["metadata"]["name"])
            self._stop(found)
        elif is_leaving(found):
            world.hand.delete(found, grace=0)
        elif found["spec"].get("nodeName") and uid not in self._states and not is_over(found):
            self._run(world, found)

    def _run(self, world: World, found: Manifest) -> None:
        uid = found["metadata"]["uid"]
        address = self._addresses.setdefault(uid, f"10.0.0.{len(self._addresses) + 1}")
        before = self._states.get(uid)
        self._states[uid] = State.STARTS
        pod = Pod(self._cluster, self._network, found, address)
        state = next((state for each in self.programs if (state := each(pod))), None)
        assert state, f"no program is known for the pod {pod.name}: {pod.script}"
        self._states[uid] = state
        if state is not State.STARTS and (state, before) != (State.WORKS, State.WORKS):
            self._tell(world, found, state, address)
        if state in (State.ENDS, State.FAILS):
            self._stop(found)

    def _tell(self, world: World, found: Manifest, state: State, address: str) -> None:
        runs = state in (State.LASTS, State.WORKS)
        inner = {"running": {}} if runs else {"terminated": {"exitCode": int(state is State.FAILS)}}
        statuses = [
            {"name": each["name"], "image": each["image"], "imageID": each["image"], "ready": runs, "state": inner}
            for each in found["spec"]["containers"]
        ]
        fresh = [condition(kind, true=runs) for kind in ("Ready", "ContainersReady")]
        phase = {State.LASTS: "Running", State.WORKS: "Running", State.ENDS: "Succeeded", State.FAILS: "Failed"}[state]
        status = {"phase": phase, "podIP": address, "containerStatuses": statuses}
        world.hand.set_status(found, {**status, "conditions": with_conditions(found, *fresh)})

    def _stop(self, found: Manifest) -> None:
        self._network.leave(self._addresses.get(found["metadata"]["uid"], ""))
        for each in self.stopped:
            each(found)
