"""Tenants are apart: on a cluster in memory that keeps them so, and on those that only seem to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from plimsoll.capabilities.tenant_isolation.attacks import LEAST, REQUESTS, TRIED
from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory import Fault
from plimsoll.kubernetes.memory.admission import Admission
from tests.capabilities.clusters.nodes import Pod
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.tenants import Wire, tenants

pytestmark = pytest.mark.slow

ISOLATION = "tenant_isolation"
RBAC = "rbac.authorization.k8s.io"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(ISOLATION)
    assert scene.left() == []
    return verdict


def grant(scene: Scene, group: str, *rules: Manifest) -> None:
    """Give everybody of a group rights in the whole cluster."""
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "hole"}, "rules": list(rules)}
    subject = {"kind": "Group", "name": group, "apiGroup": RBAC}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "hole"}
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "hole"}}
    scene.cluster.put(role)
    scene.cluster.put({**binding, "subjects": [subject], "roleRef": reference})


def rule(verb: str, resource: str, group: str = "") -> Manifest:
    return {"apiGroups": [group], "resources": [resource], "verbs": [verb]}


def open_ways(verdict: Verdict) -> set[str]:
    return set(verdict.figure.partition(": ")[2].split(", "))


def test_a_cluster_that_keeps_tenants_apart_passes_with_the_number_of_ways(scene: Scene) -> None:
    tenants(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    held = int(verdict.figure.partition(" ")[0])
    assert held >= 2 * LEAST
    left_out = {each.fact["attack"] for each in scene.record(ISOLATION) if each.event == "left-out"}
    assert left_out == {"queues", "usage", "queue-raised"}, "Kueue and metrics are not there"
    assert held == len(REQUESTS) + len(TRIED) - len(left_out)


@pytest.mark.parametrize(
    ("group", "rules", "ways"),
    [
        ("system:authenticated", [rule("*", "*", "*")], {"secret", "exec", "binds", "impersonates-admin", "nodes"}),
        ("system:serviceaccounts", [rule("get", "secrets")], {"secret"}),
        ("system:serviceaccounts", [rule("get", "pods/exec"), rule("create", "pods/exec")], {"exec"}),
        ("system:serviceaccounts", [rule("get", "nodes/proxy")], {"kubelet"}),
        ("system:serviceaccounts", [rule("patch", "leases", "coordination.k8s.io")], {"lease-taken"}),
        ("system:serviceaccounts", [rule("impersonate", "serviceaccounts")], {"impersonates-owner"}),
        ("system:serviceaccounts", [rule("create", "serviceaccounts/token")], {"token"}),
    ],
    ids=["everything", "secrets", "exec", "kubelets", "leases", "impersonation", "tokens"],
)
def test_a_right_that_every_account_has_is_found_by_the_ways_that_it_opens(
    scene: Scene, group: str, rules: list[Manifest], ways: set[str]
) -> None:
    tenants(scene)
    grant(scene, group, *rules)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert ways <= open_ways(verdict)
    assert group == "system:authenticated" or open_ways(verdict) == ways


class Unwalled(Wire):
    """A network that takes policies and carries none out."""

    ways = ()


class OnlyOut(Wire):
    """A network that holds pods back and lets everybody in."""

    ways = ("Egress",)


class OnlyIn(Wire):
    """A network that keeps everybody out and lets its own go anywhere."""

    ways = ("Ingress",)


class Cloud(Wire):
    """A network on which a cloud gives credentials to every pod."""

    metadata = True


class Leaky(Wire):
    """Nodes that mount secrets of any namespace."""

    def content(self, namespace: str, source: Manifest) -> bytes:
        places = [each["metadata"]["name"] for each in self.cluster.list("v1", "Namespace")]
        return next((found for each in places if (found := super(Leaky, self).content(each, source))), b"")


@pytest.mark.parametrize(
    ("wire", "ways"),
    [
        (Unwalled, {"thief-to-pod", "thief-to-service", "thief-to-name", "stranger-to-pod", "thief-to-outside"}),
        (OnlyOut, {"stranger-to-pod", "stranger-to-service", "stranger-to-name"}),
        (OnlyIn, {"thief-to-outside"}),
        (Cloud, {"thief-to-metadata"}),
        (Leaky, {"secret-volume", "config-volume"}),
    ],
)
def test_a_node_or_a_network_that_lets_pods_through_is_found(scene: Scene, wire: type[Wire], ways: set[str]) -> None:
    tenants(scene, wire)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert ways <= open_ways(verdict)
    assert wire is Unwalled or open_ways(verdict) == ways


@pytest.mark.parametrize(
    ("ignored", "ways"),
    [
        ("check_level", {"host-path", "privileged", "host-network", "root"}),
        ("check_quota", {"priority", "affinity", "too-much", "accelerator", "load-balancer", "node-port"}),
    ],
)
def test_admission_that_is_switched_off_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, ignored: str, ways: set[str]
) -> None:
    tenants(scene)
    monkeypatch.setattr(f"plimsoll.kubernetes.memory.admission.{ignored}", lambda *_: None)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert ways <= open_ways(verdict)
    assert "admission" in verdict.remedy


def test_policies_of_admission_that_nobody_carries_out_are_found(scene: Scene) -> None:
    tenants(scene, rules=False)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert open_ways(verdict) == {"external-address", "others-image", "image-volume", "way-out", "wall-down"}
    assert "ValidatingAdmissionPolicy" in verdict.remedy


def test_an_attacker_whom_nobody_knows_shows_nothing(scene: Scene) -> None:
    tenants(scene)
    strangers = Fault(
        when=lambda request: request.user.name.startswith("system:serviceaccount:"), times=10_000, status=401
    )
    scene.cluster.fail(strangers)
    verdict = check(scene)
    scene.cluster.mend()
    assert (verdict.outcome, "the control failed" in verdict.cause) == (Outcome.UNKNOWN, True), verdict


def test_a_policy_that_denies_everything_shows_nothing(scene: Scene) -> None:
    tenants(scene)

    def deny(asked: Admission) -> str | None:
        return "nothing is allowed here" if asked.user.name.startswith("system:serviceaccount:") else None

    scene.cluster.validate(deny, "deny.all")
    verdict = check(scene)
    assert (verdict.outcome, "the control failed" in verdict.cause) == (Outcome.UNKNOWN, True), verdict


class Dead(Wire):
    """A network on which nobody reaches anybody."""

    def carries(self, one: Manifest, other: Manifest) -> bool:
        return False


class Silent(Wire):
    """Pods whose output is lost in the middle."""

    def reached(self, pod: Pod, url: str) -> str:
        return "" if pod.name == "mate" else super().reached(pod, url)


@pytest.mark.parametrize("wire", [Dead, Silent])
def test_a_network_on_which_pods_do_not_reach_what_they_may_shows_nothing(scene: Scene, wire: type[Wire]) -> None:
    tenants(scene, wire)
    verdict = check(scene)
    assert verdict.outcome is Outcome.ENVIRONMENT_ERROR, verdict
    assert "did not reach what it may" in verdict.cause


def test_a_webhook_that_does_not_answer_is_no_refusal(scene: Scene) -> None:
    tenants(scene)

    def broken(asked: Admission) -> str | None:
        secured: Mapping[str, object] = (asked.object or {}).get("spec") or {}
        return 'failed calling webhook "guard.example"' if secured.get("hostPID") else None

    scene.cluster.validate(broken, "guard.example")
    verdict = check(scene)
    assert verdict.outcome is Outcome.UNKNOWN, verdict
    assert "host-processes" in verdict.cause
