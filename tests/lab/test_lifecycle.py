"""`up` starts the lab from any state, and `down` leaves nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lab import cgroups, door, layout, lifecycle, machines, nodes
from lab.kubectl import get, kubectl
from lab.traces import traces
from tests.lab.cluster import Namespace, run_lab, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def test_down_leaves_nothing_and_up_starts_anew(up: Up) -> None:
    up(accelerated=1)
    before = traces()
    assert all(
        before[kind] for kind in ("processes", "mounts", "network namespaces", "cgroups", "loop devices", "folder")
    )
    lifecycle.down(lambda _: None)
    assert not any(traces().values()), traces()
    up()
    assert {node["metadata"]["name"] for node in get("nodes")} == {"node-1", "node-2"}
    # A program that starts before what it needs ends again, the more often the busier the machine is.
    started = {name: machines.status(name) for name in (layout.CONTROL_PLANE, "node-1", "node-2")}
    assert {each["restarts"] for programs in started.values() for each in programs.values()} == {0}, started


def test_down_without_a_lab_is_no_error(up: Up) -> None:
    lifecycle.down(lambda _: None)
    again = run_lab("down")
    assert again.returncode == 0, again.stderr
    assert not any(traces().values())


@pytest.mark.parametrize(
    "victim",
    [
        "first process of a node",
        pytest.param("first process of the control plane", marks=pytest.mark.series),
        pytest.param("door", marks=pytest.mark.series),
    ],
)
def test_up_repairs_what_was_killed(namespace: Namespace, victim: str) -> None:
    namespace.pod("survivor", nodeName="node-1", restartPolicy="Always")
    if victim == "door":
        pids = cgroups.processes("door")
    else:
        first = machines.first_process("node-1" if "node" in victim else layout.CONTROL_PLANE)
        pids = {first} if first else set()
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    lifecycle.up(2, 0, [], lambda _: None)
    until(lambda: _is_ready(namespace, "survivor"), limit=60, what="the pod's return")


def _is_ready(namespace: Namespace, pod: str) -> bool:
    conditions = namespace.get("pod", pod)["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@pytest.mark.parametrize(
    "program",
    [
        "etcd",
        *(
            pytest.param(name, marks=pytest.mark.series)
            for name in ("kube-apiserver", "kube-scheduler", "kube-controller-manager")
        ),
    ],
)
def test_a_killed_program_comes_back_by_itself_with_what_it_knew(namespace: Namespace, program: str) -> None:
    kubectl("create", "configmap", "memory", f"-n{namespace.name}", "--from-literal=word=kept")
    restarts = machines.status(layout.CONTROL_PLANE)[program]["restarts"]
    machines.signal_program(layout.CONTROL_PLANE, program)
    until(lambda: machines.status(layout.CONTROL_PLANE)[program]["restarts"] > restarts, what="the restart")
    lifecycle.up(2, 0, [], lambda _: None)
    assert namespace.get("configmap", "memory")["data"] == {"word": "kept"}
    namespace.pod("after")


def test_a_killed_node_is_lost_and_revives_with_its_disk(namespace: Namespace) -> None:
    namespace.pod("there", nodeName="node-2", restartPolicy="Always")
    node = nodes.named("node-2")
    nodes.kill(node)
    assert machines.first_process(node.name) is None
    until(lambda: _condition(node.name) == "Unknown", limit=60, what="NotReady")
    nodes.start(node)
    until(lambda: _is_ready(namespace, "there") and _condition(node.name) == "True", limit=60, what="the return")


def _condition(name: str) -> str:
    return next(str(each["status"]) for each in get("node", name)["status"]["conditions"] if each["type"] == "Ready")


def test_a_node_is_added_runs_pods_and_is_removed(namespace: Namespace) -> None:
    added = run_lab("node", "add")
    assert added.returncode == 0, added.stderr
    name = added.stdout.strip()
    namespace.pod("there", nodeName=name)
    where = namespace.get("pod", "there")["spec"]["nodeName"]
    assert where == name
    removed = run_lab("node", "remove", name)
    assert removed.returncode == 0, removed.stderr
    assert name not in {node["metadata"]["name"] for node in get("nodes")}
    assert not cgroups.processes(name)


def test_a_door_that_is_closed_opens_again_on_the_same_port(namespace: Namespace) -> None:
    before = door.open_door()
    door.close()
    assert door.open_door() == before


def test_what_stands_in_the_way_is_said_without_a_traceback(tmp_path: Path) -> None:
    for name in ("python3", "sh"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    bare = run_lab("up", environment={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert bare.returncode == 1
    assert "Traceback" not in bare.stderr
    for wanted in ("curl", "busybox-static", "apt-get install"):
        assert wanted in bare.stderr


def test_a_node_that_is_not_there_is_named_with_those_that_are(namespace: Namespace) -> None:
    wrong = run_lab("node", "cut", "node-99")
    assert wrong.returncode == 1
    assert "node-99" in wrong.stderr
    assert "node-1, node-2" in wrong.stderr


def test_a_wrong_delay_is_refused(namespace: Namespace) -> None:
    wrong = run_lab("node", "slow", "node-1", "--delay", "soon")
    assert wrong.returncode == 1
    assert "20ms" in wrong.stderr
