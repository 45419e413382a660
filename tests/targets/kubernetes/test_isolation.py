"""`isolation: strict` on a cluster: the runtime of pods, whom they reach, and what a cluster without it says."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.application.isolation import Isolation
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.targets.features import PLAN_CHECK
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.isolation import isolation_facts
from plimsoll.targets.kubernetes.manifests.runtimes import runtime_class
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried

NETWORK = "networking.k8s.io/v1"


def runtime(name: str, handler: str) -> dict[str, Any]:
    return {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}


def done(bench: Bench, step: AnyStep) -> None:
    end = Carried(bench.session().start(step, 1)).end()
    assert end.outcome == "done", end.reason


def policy(bench: Bench, step: AnyStep) -> dict[str, Any] | None:
    return bench.find("NetworkPolicy", names.workload(APPLICATION, step), NETWORK)


@pytest.mark.slow
def test_pods_of_a_strict_step_have_the_named_runtime_and_reach_nobody(bench: Bench) -> None:
    bench.cluster.put(runtime("gvisor", "runsc"))
    step = bench.command("clean", "x", isolation=Isolation(runtime_class="gvisor", temporary="64Mi"))
    bench.does("run/clean", lambda pod: pod.leave(x="1"))
    done(bench, step)
    job = bench.job(step)
    assert job is not None
    spec = job["spec"]["template"]["spec"]
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["automountServiceAccountToken"] is False
    security = spec["containers"][0]["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert {each["name"]: each.get("emptyDir") for each in spec["volumes"]}["tmp"] == {"sizeLimit": str(64 << 20)}
    found = policy(bench, step)
    assert found is not None
    assert found["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not found["spec"].get("ingress")
    assert not any("ipBlock" in peer for rule in found["spec"]["egress"] for peer in rule.get("to", []))


@pytest.mark.slow
def test_workers_of_a_strict_gang_reach_each_other_and_outside_what_is_declared(bench: Bench) -> None:
    step = bench.training("triage", workers=2, isolation=Isolation(network=True))
    done(bench, step)
    found = policy(bench, step)
    assert found is not None
    own = {"podSelector": found["spec"]["podSelector"]}
    assert found["spec"]["ingress"] == [{"from": [own]}]
    assert {"to": [own]} in found["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in found["spec"]["egress"] for peer in rule.get("to", []) if "ipBlock" in peer]
    assert {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]} in blocks


@pytest.mark.slow
def test_a_step_of_another_level_has_neither(bench: Bench) -> None:
    bench.cluster.put(runtime("gvisor", "runsc"))
    step = bench.command("clean", "x", isolation=Isolation(level="process"))
    bench.does("run/clean", lambda pod: pod.leave(x="1"))
    done(bench, step)
    job = bench.job(step)
    assert job is not None
    assert "runtimeClassName" not in job["spec"]["template"]["spec"]
    assert policy(bench, step) is None


@pytest.mark.slow
def test_a_runtime_that_the_cluster_does_not_have_is_refused_before_anything_is_made(bench: Bench) -> None:
    step = bench.command("clean", "x", isolation=Isolation(runtime_class="gvisor"))
    target = bench.target()
    plan = Plan(application=APPLICATION, target=target.name, steps=(step,))
    (found,) = target.features.require(PLAN_CHECK)(plan)
    assert "run/clean asks for the RuntimeClass gvisor, which" in found.message
    assert found.setting == ("isolation", "runtimeClass")
    bench.cluster.put(runtime("kata", "kata-qemu"))
    (found,) = bench.target().features.require(PLAN_CHECK)(plan)
    assert found.remedy == "name one of kata"


def test_without_a_name_a_runtime_with_a_kernel_of_its_own_is_taken() -> None:
    none = Cluster(target="c", namespace="n", runtime_classes={"nvidia": "nvidia"})
    assert runtime_class(Isolation(), none) is None
    assert "the kernel of its node" in isolation_facts(none).strict_by
    some = Cluster(target="c", namespace="n", runtime_classes={"nvidia": "nvidia", "sandboxed": "runsc"})
    assert runtime_class(Isolation(), some) == "sandboxed"
    assert "RuntimeClass sandboxed" in isolation_facts(some).strict_by
