"""The lab: how long it takes to build, start, grow and stop, what it weighs, and what it leaves.

Without root, Linux or Go nothing is measured. The build from nothing takes half an hour:
`python -m benchmarks.lab --cold`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measuring import ROOT, median, verdict
from lab import cgroups, layout, lifecycle, machines, nodes, requirements
from lab.build.cache import folder_of, is_built
from lab.build.components import BY_NAME
from lab.images.names import AGNHOST
from lab.kubectl import apply, kubectl, wait
from lab.layout import Node
from lab.traces import traces

CYCLES = 20
PODS = 10
ADDONS = ("jobset", "kueue", "gateway", "prometheus")


def main(arguments: list[str]) -> bool:
    """Print each figure beside its limit."""
    print("lab: a real Kubernetes from source")
    if missing := requirements.missing():
        print(f"  not measured: it needs {'; '.join(missing)}")
        return True
    kept = [_cold()] if "--cold" in arguments else []
    lifecycle.down(_quiet)
    # What is built and packed once per machine is not part of a warm start.
    lifecycle.up(2, 0, ADDONS, _quiet)
    lifecycle.down(_quiet)
    kept += [_start_and_stop(), _with_addons(), _cycles(), _pods(), _more_nodes(), _memory(), _at_size()]
    lifecycle.down(_quiet)
    return all(kept)


def _quiet(_: str) -> None:
    pass


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _cold() -> bool:
    """Sources already downloaded, nothing compiled."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "GOCACHE": f"{folder}/go"}
        command = [sys.executable, "-m", "lab", "build", "--tested"]
        took = _seconds(lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True))
    return verdict("build of what the tests need, from nothing", took / 60, 35, "min")


def _start_and_stop() -> bool:
    up = _seconds(lambda: lifecycle.up(2, 0, [], _quiet))
    down = _seconds(lambda: lifecycle.down(_quiet))
    kept = verdict("up: control plane and 2 nodes Ready", up, 30, "s")
    return verdict("down", down, 10, "s") and kept


def _with_addons() -> bool:
    up = _seconds(lambda: lifecycle.up(2, 0, ADDONS, _quiet))
    down = _seconds(lambda: lifecycle.down(_quiet))
    kept = verdict(f"up with {', '.join(ADDONS)}", up, 90, "s")
    return verdict("down with them", down, 10, "s") and kept


def _cycles() -> bool:
    before = _counted()
    took = [_seconds(_cycle) for _ in range(CYCLES)]
    after = _counted()
    left = {kind: count - before[kind] for kind, count in after.items() if count > before[kind]}
    print(f"  {CYCLES} times up and down, {median(took):.1f} s each; more than before: {left or 'nothing'}")
    return verdict("what they left", sum(left.values()), 0, "things")


def _cycle() -> None:
    lifecycle.up(2, 1, [], _quiet)
    lifecycle.down(_quiet)


def _counted() -> dict[str, int]:
    """How many of each there are on the whole machine, whoever made them."""
    commands = {
        "loop devices": ["losetup", "--list", "--noheadings"],
        "iptables rules": ["iptables-save"],
        "nft rules": ["nft", "list", "ruleset"],
        "links": ["ip", "-oneline", "link"],
        "network namespaces": ["ip", "netns", "list"],
    }
    lines = {kind: subprocess.check_output(command, text=True) for kind, command in commands.items()}
    # iptables-save prints the time in its comments.
    found = {kind: sum(not line.startswith("#") for line in text.splitlines()) for kind, text in lines.items()}
    found["mounts"] = len(Path("/proc/mounts").read_text().splitlines())
    found["cgroups"] = sum(1 for each in Path("/sys/fs/cgroup").rglob("cgroup.procs"))
    found["traces of the lab's name"] = sum(map(len, traces().values()))
    return found


def _pods() -> bool:
    lifecycle.up(2, 0, [], _quiet)
    took = [_seconds(partial(_start_pod, f"pod-{number}")) for number in range(PODS)]
    kubectl("delete", "pods", "--all", "--grace-period=0", "--force")
    bare = median([_seconds(partial(_start_container, f"c{number}")) for number in range(PODS)])
    ours = median(took)
    print(f"  the same container by containerd alone: {bare:.2f} s; a pod takes {ours / bare:.1f} times that")
    return verdict("a pod from its creation to Running", ours, 2, "s")


def _start_pod(name: str) -> None:
    container = {"name": "main", "image": AGNHOST}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    apply(
        json.dumps(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
        )
    )
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"pod/{name}", "--timeout=60s")


def _start_container(name: str) -> None:
    control = str(folder_of(BY_NAME["containerd"]) / "ctr")
    place = f"{layout.NAME}/node-1/{name}"
    command = machines.enter("node-1", control, "-n", "k8s.io", "run", "--detach", "--cgroup", place, AGNHOST, name)
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    # The node's end removes it.


def _more_nodes() -> bool:
    added: list[Node] = []
    took = _seconds(lambda: added.append(lifecycle.add_node("plain", _quiet)))
    accelerated = _seconds(lambda: added.append(lifecycle.add_node("accelerated", _quiet)))
    for node in added:
        nodes.remove(node)
    print(f"  a node with accelerators, to the registration of its devices: {accelerated:.1f} s")
    return verdict("a node from nothing to Ready", took, 15, "s")


def _memory() -> bool:
    lifecycle.down(_quiet)
    lifecycle.up(2, 0, [], _quiet)
    time.sleep(20)
    return verdict("memory of control plane and 2 nodes", cgroups.memory_bytes() / 2**30, 1.5, "GiB")


def _at_size() -> bool:
    from lab import scale

    if not is_built(BY_NAME["scale"]):
        print("  5,000 nodes and 150,000 pods: not measured, as 'scale' is not built ('python -m lab build --tested')")
        return True
    written = _seconds(lambda: scale.fill(5000, 150_000, 100, _quiet))
    listed = _seconds(lambda: scale.get("/api/v1/pods?resourceVersion=0", limit=120))
    scale.remove()
    print(f"  5,000 nodes and 150,000 pods: served {written:.0f} s after the start; all pods listed in {listed:.1f} s")
    wait("the API server", lambda: None if kubectl("get", "--raw=/readyz") == "ok" else "not ready", 30)
    return True


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
