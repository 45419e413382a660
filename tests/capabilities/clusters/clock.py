"""The time of a probe in a cluster in memory: it passes when the probe waits, and controllers act on it meanwhile."""

from __future__ import annotations

import threading

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory import MemoryCluster

LEASES = ("coordination.k8s.io", "leases")
"""The resource of the clock: a controller that looks at it is asked at every tick."""
_NAME = "clock"
_PATIENCE = 20.0
_FASTER, _PAUSE = 8.0, 0.5


class _Looks:
    """Notes the last telling of the time that the loop of the controllers has come to."""

    kinds = frozenset({LEASES})

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0

    def reconcile(self, world: object, found: Manifest, *, gone: bool) -> None:
        if found["metadata"]["name"] == _NAME:
            with self._changed:
                self._version = int(found["metadata"]["resourceVersion"])
                self._changed.notify_all()

    def come_to(self, version: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._version >= version, _PATIENCE)


class Clock:
    """Stands for the module `time` in what a probe is made of. A sleep ends when no controller has anything to do.

    A pause of a probe is eight times as long as it says, so that limits of minutes come soon. `ticks` counts the sleeps.
    """

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self._looks = _Looks()
        self._lock = threading.RLock()
        self.now = 1000.0
        self.ticks = 0
        cluster.run(self._looks)

    def monotonic(self) -> float:
        """Seconds, as `time.monotonic` gives them."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, and everybody act on it."""
        with self._lock:
            self.now += (_FASTER if seconds <= _PAUSE else 1) * seconds
            self.ticks += 1
            self.settle()

    def settle(self) -> None:
        """Have time told to the controllers until one telling of it is the only change."""
        with self._lock:
            last, now = 0, self._tell()
            while now != last + 1:
                last, now = now, self._tell()

    def _tell(self) -> int:
        metadata = {"name": _NAME, "namespace": "kube-system"}
        lease = {"apiVersion": f"{LEASES[0]}/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
        version = int(self._cluster.put(lease)["metadata"]["resourceVersion"])
        assert self._looks.come_to(version), "a controller hangs"
        return version
