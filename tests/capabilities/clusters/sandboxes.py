"""Runtimes of a node in memory, by what their kernels answer."""

from __future__ import annotations

from collections.abc import Mapping

from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

HOST = {
    "uname": "Linux 6.8.0-45 #45 SMP Fri Aug 30",
    "booted": "1790000000",
    "boot": "4f1c8c1e",
    "version": "Linux version 6.8.0-45",
    "modules": "120",
    "log": "dmesg: read kernel buffer failed: Operation not permitted",
    "memory": "32000000 kB",
    "processes": "sh,sh,",
    "devices": "",
    "mounts": "/=overlay,/var/lib/kubelet/pods/1/etc-hosts=/dev/sda1,",
    "interfaces": "lo,eth0,",
}
OWN = {
    "uname": "Linux 4.4.0 #1 SMP Sun Jan 10",
    "booted": "1790000900",
    "boot": "9a7d2b50",
    "version": "Linux version 4.4.0",
    "modules": "none",
    "log": "[    0.000000] Starting gVisor...",
    "memory": "2097152 kB",
    "processes": "sh,",
    "devices": "",
    "mounts": "/=none,/=none,",
    "interfaces": "lo,eth0,",
}


class Runtime:
    """Gives pods of RuntimeClasses with the handler runsc a kernel of their own. A subclass does something wrong."""

    def __init__(self) -> None:
        self.handlers: dict[str, str] = {}

    def run(self, pod: Pod) -> State | None:
        """The program of pods that report their kernel."""
        if "uname -srv" not in pod.script:
            return None
        name = pod.manifest["spec"].get("runtimeClassName", "")
        said = self.kernel(pod, self.handlers.get(name) == "runsc")
        pod.print("\n".join(f"{key} {value}" for key, value in said.items()))
        return State.ENDS

    def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
        """What the kernel of a pod answers."""
        return OWN if sandboxed else HOST


def sandboxes(scene: Scene, runtime: Runtime, *, classes: Mapping[str, str] | None = None) -> None:
    """A node and RuntimeClasses, each with its handler."""
    runtime.handlers = dict(classes or {"gvisor": "runsc"})
    scene.cluster.add_node("node-1")
    for name, handler in runtime.handlers.items():
        kind = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}}
        scene.cluster.put({**kind, "handler": handler})
    scene.nodes.programs.insert(0, runtime.run)
