"""A gang of MPI on a cluster: what stands beside its workload, and what its pods find."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import names
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod

pytestmark = pytest.mark.slow


def named(step: AnyStep) -> str:
    return names.workload(APPLICATION, step)


def test_a_gang_has_a_secret_that_ends_with_it_and_a_policy_that_admits_its_own_pods(bench: Bench) -> None:
    step = bench.training("triage", workers=2, framework="mpi")
    bench.does("train/triage", lambda pod: pod.leave())
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    secret = bench.find("Secret", named(step))
    assert secret is not None
    assert len(base64.b64decode(secret["data"]["secret"])) == 64
    (owner,) = secret["metadata"]["ownerReferences"]
    job = bench.job(step)
    assert job is not None
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", named(step), job["metadata"]["uid"])
    policy = bench.find("NetworkPolicy", named(step), "networking.k8s.io/v1")
    assert policy is not None
    own = {"matchLabels": {names.KEY: names.of_step(APPLICATION, step)[names.KEY]}}
    assert policy["spec"]["podSelector"] == own
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": own}]}]


def test_a_pod_finds_the_secret_and_a_name_for_its_user(bench: Bench) -> None:
    step = bench.training("triage", workers=2, framework="mpi")
    specs: list[dict[str, Any]] = []

    def look(pod: Pod) -> None:
        specs.append(pod.running.pod)
        pod.leave()

    bench.does("train/triage", look)
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    metadata, spec = specs[0]["metadata"], specs[0]["spec"]
    (container,) = spec["containers"]
    variables = {each["name"]: each for each in container["env"]}
    reference = {"secretKeyRef": {"name": named(step), "key": "secret"}}
    assert variables["MPI_DOOR_SECRET"]["valueFrom"] == reference
    assert {"name": "users", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True} in container[
        "volumeMounts"
    ]
    user = spec["securityContext"]["runAsUser"]
    assert f":x:{user}:{user}:" in metadata["annotations"]["plimsoll.dev/passwd"]


@pytest.mark.parametrize(("workers", "framework"), [(1, "mpi"), (2, "torch")])
def test_a_step_that_starts_nothing_in_other_pods_has_neither(bench: Bench, workers: int, framework: Any) -> None:
    step = bench.training("triage", workers=workers, framework=framework)
    bench.does("train/triage", lambda pod: pod.leave())
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    assert not bench.objects("Secret")
    assert not bench.objects("NetworkPolicy", "networking.k8s.io/v1")
