"""Accelerators: which pods get one, which cannot open one, and their metrics. Each attack has a control."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lab import machines
from lab.kubectl import get, kubectl, wait_for_rollout
from lab.layout import Node
from tests.lab.cluster import Manifest, Namespace, phase, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
IDENTITY = ("sh", "-c", "head -c 4096 {} | tr -d '\\0'")
# The attack of a pod without a device: it creates a device node by its numbers, opens it and reads it.
STEAL = "mknod /tmp/stolen b 7 {minor} && head -c 4096 /tmp/stolen | tr -d '\\0'"
WITH_MKNOD = {"securityContext": {"capabilities": {"add": ["MKNOD"]}}}
PLUGIN = {"resources": {"limits": {"plimsoll.dev/accelerator": 1}}}


@pytest.fixture
def node(up: Up) -> Node:
    return next(node for node in up(accelerated=1) if node.group == "accelerated")


@pytest.fixture
def claims(node: Node) -> Iterator[Namespace]:
    """A namespace whose claims end with the test, so that the next test finds every device free."""
    # An installed Karpenter has no nodes with this label, so a pod that must wait does wait.
    made = Namespace({"nodeSelector": {"plimsoll.dev/group": "accelerated"}})
    yield made
    # Without --force, so that the kubelet has released the devices before the next test requests them.
    kubectl("delete", "pods", "--all", f"-n{made.name}", "--grace-period=1", limit=120)
    made.delete()
    until(lambda: not get("resourceclaims", namespace="*"), limit=60, what="the release of all claims")


def identity(namespace: Namespace, pod: str, path: str, container: str = "main") -> dict[str, Any]:
    shown = namespace.execute(pod, *(word.format(path) for word in IDENTITY), container=container)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def own_device(namespace: Namespace, pod: str, container: str = "main") -> str:
    return namespace.execute(pod, "sh", "-c", "ls /dev/plimsoll/*", container=container).stdout.strip()


def claim(namespace: Namespace, name: str, device_class: str = "accelerator.plimsoll.dev", **exactly: Any) -> Manifest:
    request = {"name": "device", "exactly": {"deviceClassName": device_class, **exactly}}
    namespace.create(
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": {"name": name},
            "spec": {"devices": {"requests": [request]}},
        }
    )
    return {
        "resourceClaims": [{"name": "device", "resourceClaimName": name}],
        "container": {"resources": {"claims": [{"name": "device"}]}},
    }


def minor(namespace: Namespace, pod: str, path: str) -> int:
    return int(namespace.execute(pod, "stat", "-c", "%T", path).stdout, 16)


def test_two_pods_get_different_devices_and_a_third_waits(claims: Namespace, node: Node) -> None:
    for name in ("one", "two"):
        claims.pod(name, container=PLUGIN)
    claims.pod("three", container=PLUGIN, wait=False)
    found = [identity(claims, name, own_device(claims, name)) for name in ("one", "two")]
    assert found[0]["uuid"] != found[1]["uuid"]
    assert {each["driver"] for each in found} == {"1.2.0"}
    time.sleep(2)
    assert phase(claims, "three") == "Pending"
    kubectl("delete", "pod", "one", f"-n{claims.name}", "--grace-period=1")
    claims.wait_running("three")


def test_a_pod_without_a_device_cannot_open_one_by_its_numbers(claims: Namespace, node: Node) -> None:
    claims.pod("holder", container={**PLUGIN, **WITH_MKNOD}, nodeName=node.name)
    claims.pod("thief", container=WITH_MKNOD, nodeName=node.name)
    path = own_device(claims, "holder")
    number = minor(claims, "holder", path)
    attempt = ("sh", "-c", STEAL.format(minor=number))
    control = claims.execute("holder", *attempt)
    assert json.loads(control.stdout)["uuid"] == identity(claims, "holder", path)["uuid"], "control: the attack works"
    stolen = claims.execute("thief", *attempt)
    assert "Operation not permitted" in stolen.stderr
    assert not stolen.stdout
    assert claims.execute("thief", "ls", "/dev/plimsoll").returncode != 0


def test_holders_cannot_open_each_others_devices(claims: Namespace, node: Node) -> None:
    for name in ("one", "two"):
        claims.pod(name, container={**PLUGIN, **WITH_MKNOD}, nodeName=node.name)
    number = minor(claims, "one", own_device(claims, "one"))
    assert claims.execute("one", "sh", "-c", STEAL.format(minor=number)).returncode == 0
    assert "Operation not permitted" in claims.execute("two", "sh", "-c", STEAL.format(minor=number)).stderr


def test_a_claim_gets_a_device_and_the_container_beside_it_does_not(claims: Namespace, node: Node) -> None:
    spec = claim(claims, "mine")
    spec["container"] |= WITH_MKNOD
    sibling = {"name": "sibling", "image": "registry.k8s.io/e2e-test-images/agnhost:2.59", **WITH_MKNOD}
    claims.pod("holder", more=[sibling], **spec)
    path = own_device(claims, "holder")
    allocated = claims.get("resourceclaim", "mine")["status"]["allocation"]["devices"]["results"][0]
    assert path == f"/dev/plimsoll/{allocated['device']}"
    found = identity(claims, "holder", path)
    published = _published(node)
    assert published[allocated["device"]]["uuid"]["string"] == found["uuid"]
    attempt = ("sh", "-c", STEAL.format(minor=minor(claims, "holder", path)))
    assert claims.execute("holder", *attempt).returncode == 0, "control: the attack works in the claiming container"
    assert "Operation not permitted" in claims.execute("holder", *attempt, container="sibling").stderr


def _published(node: Node) -> dict[str, Manifest]:
    slices = [each["spec"] for each in get("resourceslices") if each["spec"].get("nodeName") == node.name]
    return {device["name"]: device["attributes"] for each in slices for device in each.get("devices", [])}


def test_a_claim_by_attribute_gets_that_device_and_an_impossible_one_gets_none(claims: Namespace, node: Node) -> None:
    wanted = next(name for name, each in _published(node).items() if name == "accelerator4")
    uuid = _published(node)[wanted]["uuid"]["string"]

    def by_uuid(value: str) -> list[Manifest]:
        return [{"cel": {"expression": f'device.attributes["accelerator.plimsoll.dev"].uuid == "{value}"'}}]

    claims.pod("right", **claim(claims, "right", selectors=by_uuid(uuid)))
    claims.pod("impossible", wait=False, **claim(claims, "impossible", selectors=by_uuid("ACC-none")))
    assert identity(claims, "right", own_device(claims, "right"))["uuid"] == uuid
    time.sleep(2)
    assert phase(claims, "impossible") == "Pending"
    assert "allocation" not in claims.get("resourceclaim", "impossible").get("status", {})


def test_a_whole_device_excludes_its_halves_and_two_halves_share_one(claims: Namespace, node: Node) -> None:
    half = "half.accelerator.plimsoll.dev"
    for name in ("one", "two", "three"):
        claims.pod(name, **claim(claims, name, half))
    devices = {own_device(claims, name) for name in ("one", "two", "three")}
    assert len(devices) == 3
    claims.pod("whole", wait=False, **claim(claims, "whole"))
    time.sleep(2)
    # Three halves occupy both devices, so no device is whole.
    assert phase(claims, "whole") == "Pending"
    for name in ("one", "two", "three"):
        claims.delete_pod(name)
        kubectl("delete", "resourceclaim", name, f"-n{claims.name}")
    claims.wait_running("whole")
    assert "." not in own_device(claims, "whole").removeprefix("/dev/plimsoll/")


def test_a_half_reads_its_own_half(claims: Namespace, node: Node) -> None:
    half = "half.accelerator.plimsoll.dev"
    for name in ("one", "two"):
        claims.pod(name, **claim(claims, name, half))
    size = ("sh", "-c", "wc -c < $(ls /dev/plimsoll/*)")
    assert {int(claims.execute(name, *size).stdout) for name in ("one", "two")} == {32 << 20}
    write = "echo written | dd of=$(ls /dev/plimsoll/*) bs=512 seek=1000 conv=fsync,notrunc 2>/dev/null"
    read = "dd if=$(ls /dev/plimsoll/*) bs=512 skip=1000 count=1 2>/dev/null"
    assert claims.execute("one", "sh", "-c", write).returncode == 0
    assert "written" in claims.execute("one", "sh", "-c", read).stdout
    assert "written" not in claims.execute("two", "sh", "-c", read).stdout


def test_two_claims_share_a_device_and_a_third_is_refused(claims: Namespace, node: Node) -> None:
    shared = "shared.accelerator.plimsoll.dev"
    for name in ("one", "two"):
        claims.pod(name, **claim(claims, name, shared))
    claims.pod("three", wait=False, **claim(claims, "three", shared))
    seen = {identity(claims, name, own_device(claims, name))["uuid"] for name in ("one", "two")}
    assert len(seen) == 1
    time.sleep(2)
    assert phase(claims, "three") == "Pending"


def test_the_shared_resource_of_the_plugin_takes_two_pods_on_one_device(claims: Namespace, node: Node) -> None:
    wanted = {"resources": {"limits": {"plimsoll.dev/accelerator-shared": 1}}}
    for name in ("one", "two"):
        claims.pod(name, container=wanted)
    claims.pod("three", container=wanted, wait=False)
    assert len({identity(claims, name, own_device(claims, name))["uuid"] for name in ("one", "two")}) == 1
    time.sleep(2)
    assert phase(claims, "three") == "Pending"


def test_utilization_rises_on_the_device_in_use_and_on_no_other(claims: Namespace, node: Node) -> None:
    claims.pod("worker", container=PLUGIN)
    uuid = identity(claims, "worker", own_device(claims, "worker"))["uuid"]
    assert _busiest(claims, node) < 0.2, "control: idle devices are idle"
    # The load writes far into the device, where no other test has written.
    before = _series(claims, node, "memory_used_bytes")
    load = "end=$(($(date +%s)+6)); while [ $(date +%s) -lt $end ]; do dd if=/dev/zero of=$(ls /dev/plimsoll/*) bs=1M count=16 seek=44 conv=fsync,notrunc 2>/dev/null; done"
    program = claims.execute("worker", "sh", "-c", f"({load}) >/dev/null 2>&1 &")
    assert program.returncode == 0
    until(lambda: _series(claims, node, "utilization_ratio")[uuid] > 0.3, limit=10, what="utilization")
    busy = _series(claims, node, "utilization_ratio")
    assert all(value < 0.2 for other, value in busy.items() if other != uuid), busy
    assert _series(claims, node, "temperature_celsius")[uuid] > 36
    used = until(lambda: (after := _series(claims, node, "memory_used_bytes")) and after[uuid] > before[uuid] and after)
    assert all(used[other] == before[other] for other in used if other != uuid)
    until(lambda: _busiest(claims, node) < 0.2, limit=20, what="idleness")


def _series(namespace: Namespace, node: Node, name: str) -> dict[str, float]:
    """The values of an exporter metric of a node's devices, by UUID."""
    pods = kubectl(
        "get",
        "pods",
        "-naccelerators",
        f"--field-selector=spec.nodeName={node.name}",
        "-ojsonpath={.items[0].metadata.name}",
    )
    text = kubectl("get", "--raw", f"/api/v1/namespaces/accelerators/pods/{pods}:9400/proxy/metrics")
    lines = [line for line in text.splitlines() if line.startswith(f"plimsoll_accelerator_{name}{{")]
    return {line.split('uuid="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


def _busiest(namespace: Namespace, node: Node) -> float:
    found = _series(namespace, node, "utilization_ratio")
    assert len(found) == 6, "one series per device"
    return max(found.values())


def test_holders_outlive_a_kubelet_and_a_driver_that_are_killed(claims: Namespace, node: Node) -> None:
    claims.pod("plugin", container=PLUGIN, nodeName=node.name)
    claims.pod("claim", **claim(claims, "kept"))
    before = {pod: identity(claims, pod, own_device(claims, pod))["uuid"] for pod in ("plugin", "claim")}
    restarts = machines.status(node.name)["kubelet"]["restarts"]
    machines.signal_program(node.name, "kubelet", signal.SIGKILL)
    until(lambda: machines.status(node.name)["kubelet"]["restarts"] > restarts, what="the kubelet's restart")
    kubectl("delete", "pods", "--all", "-naccelerators", "--grace-period=0", "--force")
    wait_for_rollout("accelerators", "daemonset/driver")
    until(lambda: _allocatable(node) == "2", limit=60, what="the devices' registration")
    for pod in before:
        until(partial(_reached, claims, pod), limit=60, what="the kubelet's memory of its pods")
    assert before == {pod: identity(claims, pod, own_device(claims, pod))["uuid"] for pod in ("plugin", "claim")}
    for pod in ("plugin", "claim"):
        assert claims.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 0
    claims.pod("second", container=PLUGIN)
    assert identity(claims, "second", own_device(claims, "second"))["uuid"] not in before.values()


def _allocatable(node: Node) -> str:
    return str(get("node", node.name)["status"]["allocatable"].get("plimsoll.dev/accelerator"))


def _reached(claims: Namespace, pod: str) -> bool:
    return claims.execute(pod, "true").returncode == 0
