"""A sandbox has a kernel of its own: on a node in memory whose runtime gives one, or only pretends to."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.sandboxes import HOST, OWN, Runtime, sandboxes
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

SANDBOX = "workload_sandboxing"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(SANDBOX)
    assert scene.left() == []
    return verdict


def test_a_runtime_with_a_kernel_of_its_own_passes(scene: Scene) -> None:
    sandboxes(scene, Runtime())
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    seen = f"gvisor: {OWN['uname']} beside {HOST['uname']} on node-1"
    assert verdict.figure == f"{seen}; no process, memory device, path or interface of the node"


class Plain(Runtime):
    """Runs sandboxes as any other pod."""

    def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
        return HOST


class ForgedFiles(Runtime):
    """Puts files of another kernel into the sandbox, which runs on the node's."""

    def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
        return {**HOST, "version": OWN["version"], "boot": OWN["boot"], "log": OWN["log"]} if sandboxed else HOST


@pytest.mark.parametrize("runtime", [Plain, ForgedFiles])
def test_a_sandbox_on_the_kernel_of_its_twin_fails(scene: Scene, runtime: type[Runtime]) -> None:
    sandboxes(scene, runtime())
    verdict = check(scene)
    assert (verdict.outcome, "is on the same kernel" in verdict.cause) == (Outcome.FAIL, True)


@pytest.mark.parametrize(
    ("boundary", "seen", "cause"),
    [
        ("processes", "sh,kubelet,containerd,", "sees processes that are not its own: containerd, kubelet"),
        ("devices", "/dev/mem,", "has devices of the node's memory: /dev/mem"),
        ("mounts", "/=none,/var/lib/kubelet/pods/1/volumes=/dev/sda1,", "sees paths of the node: /var/lib/kubelet"),
        ("interfaces", "lo,eth0,cni0,veth12,", "sees network interfaces that its plain twin does not: cni0, veth12"),
    ],
)
def test_a_kernel_of_its_own_that_lets_its_pods_see_the_node_fails(
    scene: Scene, boundary: str, seen: str, cause: str
) -> None:
    class Open(Runtime):
        def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
            return {**OWN, boundary: seen} if sandboxed else HOST

    sandboxes(scene, Open())
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL
    assert f"has a kernel of its own, and {cause}" in verdict.cause


def test_a_sandbox_that_does_not_say_what_it_sees_shows_nothing(scene: Scene) -> None:
    class Silent(Runtime):
        def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
            return {key: value for key, value in OWN.items() if key != "mounts"} if sandboxed else HOST

    sandboxes(scene, Silent())
    assert check(scene).outcome is Outcome.UNKNOWN


def test_twins_that_differ_from_each_other_show_nothing(scene: Scene) -> None:
    class Restless(Runtime):
        def kernel(self, pod: Pod, sandboxed: bool) -> dict[str, str]:
            return {key: f"{value} {pod.name}" for key, value in HOST.items()}

    sandboxes(scene, Restless())
    verdict = check(scene)
    assert (verdict.outcome, "the control failed" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_a_class_whose_pods_do_not_run_fails(scene: Scene) -> None:
    class Missing(Runtime):
        def run(self, pod: Pod) -> State | None:
            return State.STARTS if pod.manifest["spec"].get("runtimeClassName") else super().run(pod)

    sandboxes(scene, Missing())
    verdict = check(scene)
    assert (verdict.outcome, "does not run" in verdict.cause) == (Outcome.FAIL, True)


def test_a_class_whose_pods_crash_fails(scene: Scene) -> None:
    class Crashes(Runtime):
        def run(self, pod: Pod) -> State | None:
            return State.FAILS if pod.manifest["spec"].get("runtimeClassName") else super().run(pod)

    sandboxes(scene, Crashes())
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "gvisor: Failed")


def test_plain_twins_that_do_not_run_are_no_failure_of_the_sandbox(scene: Scene) -> None:
    class OnlySandboxes(Runtime):
        def run(self, pod: Pod) -> State | None:
            return State.FAILS if "twin" in pod.name else super().run(pod)

    sandboxes(scene, OnlySandboxes())
    assert check(scene).outcome is Outcome.ENVIRONMENT_ERROR


def test_one_class_with_a_kernel_of_its_own_is_enough(scene: Scene) -> None:
    sandboxes(scene, Runtime(), classes={"a-plain-one": "runc", "gvisor": "runsc"})
    assert check(scene).outcome is Outcome.PASS
    tried = [each.fact["name"] for each in scene.record(SANDBOX) if each.event == "sandbox"]
    assert tried == ["gvisor", "a-plain-one"], "a handler that is known comes first"
