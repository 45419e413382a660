"""The nodes: pods that have one are run by a function of the test, which decides how they go and what they print."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec import Struct

from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_leaving, is_over, with_conditions
from plimsoll.kubernetes.memory.pod_logs import Log
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import now

_RESTARTS = 3
"""Times that a container is started again before it is left in CrashLoopBackOff."""


class Ended(Struct, frozen=True, kw_only=True):
    """How a container ended: exit code, termination message, and the reason where it is not the usual one.

    `beside` are containers of the pod that go on until the pod is told to stop, as those of a mesh do.
    """

    code: int = 0
    message: str = ""
    reason: str = ""
    beside: tuple[str, ...] = ()


class ContainerWaiting(Struct, frozen=True, kw_only=True):
    """Why a container does not start, such as ErrImagePull."""

    reason: str
    message: str = ""


class Running:
    """One container as its program sees it. `stopped` is set when the pod is to end; `restarts` counts from 0."""

    def __init__(self, world: World, pod: Manifest, log: Log, stopped: threading.Event, restarts: int) -> None:
        self.pod = pod
        self.stopped = stopped
        self.restarts = restarts
        self._world = world
        self._log = log

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    def print(self, text: str) -> None:
        """Write lines to the container's log."""
        self._log.write(text)

    def ready(self, *, ready: bool = True) -> None:
        """Say that the pod takes requests, or takes none; most pods are ready from their start on."""
        found = self._world.hand.find("v1", "Pod", self.name, self.pod["metadata"]["namespace"])
        if found is not None:
            fresh = [condition(kind, true=ready) for kind in ("Ready", "ContainersReady")]
            self._world.hand.set_status(found, {"conditions": with_conditions(found, *fresh)})


Program = Callable[[Running], Ended | ContainerWaiting | None]
"""What a pod does. `None` is a good end. It runs in a thread of its own, and should watch `stopped` while it waits."""


SaysReady = Callable[[Manifest], bool]
"""Whether a pod is ready only once its program has said so, as one with a readiness probe is."""


def at_once(_: Manifest) -> bool:
    """Every pod is ready from its start on."""
    return False


def usual(running: Running) -> Ended:
    """A task is done at once; what restarts always serves until it is stopped."""
    if running.pod["spec"]["restartPolicy"] == "Always":
        running.stopped.wait()
    return Ended()


class Kubelet:
    """Runs pods that have a node, each by a thread; their first container stands for all."""

    kinds = frozenset({("", "pods")})

    def __init__(self, program: Program = usual, says_ready: SaysReady = at_once) -> None:
        self._program = program
        self._says_ready = says_ready
        self._lock = threading.Lock()
        self._stops: dict[str, threading.Event] = {}
        self._over: set[str] = set()

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """Start a pod, or see to its end."""
        uid = found["metadata"]["uid"]
        with self._lock:
            stop = self._stops.get(uid)
            over = uid in self._over
        if gone or is_leaving(found):
            if stop is not None:
                stop.set()
            if gone:
                world.serving.logs.forget(found["metadata"]["namespace"], found["metadata"]["name"])
            elif stop is None or over:
                world.hand.delete(found, grace=0)
            return
        if stop is not None or is_over(found) or not found["spec"].get("nodeName"):
            return
        stop = threading.Event()
        with self._lock:
            self._stops[uid] = stop
        world.at_end(stop.set)
        name = f"pod-{found['metadata']['name']}"
        threading.Thread(target=self._run, args=(world, found, stop), daemon=True, name=name).start()

    def _run(self, world: World, pod: Manifest, stop: threading.Event) -> None:
        try:
            self._carry(world, pod, stop)
        except Exception as error:  # noqa: BLE001  # of a test's own program: the test fails by it
            world.fail(error)
        finally:
            with self._lock:
                self._over.add(pod["metadata"]["uid"])
            found = world.hand.find("v1", "Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
            if found is not None and is_leaving(found) and found["metadata"]["uid"] == pod["metadata"]["uid"]:
                world.hand.delete(found, grace=0)

    def _carry(self, world: World, pod: Manifest, stop: threading.Event) -> None:
        metadata, container = pod["metadata"], pod["spec"]["containers"][0]["name"]
        last: Manifest = {}
        for restarts in range(_RESTARTS + 1):
            if restarts:
                log = world.serving.logs.restart(metadata["namespace"], metadata["name"], container)
            else:
                log = world.serving.logs.of(metadata["namespace"], metadata["name"], container)
            unready = self._says_ready(pod)
            _tell(world, pod, "Running", {"running": {"startedAt": now()}}, last, restarts, unready=unready)
            ended = self._program(Running(world, pod, log, stop, restarts)) or Ended()
            log.end()
            if isinstance(ended, ContainerWaiting):
                state = {"waiting": {"reason": ended.reason, "message": ended.message}}
                _tell(world, pod, "Pending", state, last, restarts)
                return
            last = {"terminated": _terminated(ended)}
            policy = pod["spec"]["restartPolicy"]
            if ended.beside:
                _tell(world, pod, "Running", last, {}, restarts, ended.beside)
                stop.wait()
            if stop.is_set() or policy == "Never" or (policy == "OnFailure" and ended.code == 0):
                _tell(world, pod, "Failed" if ended.code else "Succeeded", last, {}, restarts)
                return
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        _tell(world, pod, "Running", {"waiting": waiting}, last, _RESTARTS)


def _terminated(ended: Ended) -> Manifest:
    reason = ended.reason or ("Error" if ended.code else "Completed")
    found = {"exitCode": ended.code, "reason": reason, "startedAt": now(), "finishedAt": now()}
    return {**found, **({"message": ended.message} if ended.message else {})}


def _tell(
    world: World,
    pod: Manifest,
    phase: str,
    state: Manifest,
    last: Manifest,
    restarts: int,
    running: Sequence[str] = (),
    *,
    unready: bool = False,
) -> None:
    """Write a pod's status. Every container is told of as the first one, but those that go on `running`."""
    found = world.hand.find("v1", "Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
    if found is None or found["metadata"]["uid"] != pod["metadata"]["uid"]:
        return
    ready = "running" in state and not unready
    statuses = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": each["image"],
            "ready": ready,
            "started": ready,
            "restartCount": restarts,
            "state": {"running": {}} if each["name"] in running else state,
            "lastState": last,
        }
        for each in pod["spec"]["containers"]
    ]
    fresh = [condition("Initialized"), *(condition(kind, true=ready) for kind in ("Ready", "ContainersReady"))]
    address = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "hostIP": "127.0.0.1"}
    status = {"phase": phase, "containerStatuses": statuses, "conditions": with_conditions(found, *fresh), **address}
    world.hand.set_status(found, {"startTime": now(), **(found.get("status") or {}), **status})
