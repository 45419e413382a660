"""Rendered policies on an API server in memory: what is admitted and refused there, whoever makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.policy.admission.admission_policy import admission_policy
from tests.kubernetes.asking import ask

from .admission_in_memory import AdmissionPolicies
from .cluster_objects import POLICIES, Object, cheated, fine, pod, workload

pytestmark = pytest.mark.slow


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with MemoryCluster(["jobset"], directory=tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        found = Api(cluster.context)
        policy, binding = admission_policy("plimsoll-tiny", POLICIES, ["shop"])
        for each in (policy, binding):
            found.apply(each)
        for name in ("shop", "elsewhere"):
            found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        stored = [found.get(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in (policy, binding)]
        cluster.validate(AdmissionPolicies(*stored), "plimsoll-tiny")
        yield found
        found.close()


def named(document: Object, name: str, namespace: str = "shop") -> Object:
    return {**document, "metadata": {"name": name, "namespace": namespace}}


def test_bare_pods_and_what_makes_pods_are_refused_and_good_ones_admitted(api: Api) -> None:
    spec, _ = cheated("a digest of another registry")
    for kind in ("Deployment", "Job", "CronJob", "JobSet"):
        ends = {} if kind == "Deployment" else {"restartPolicy": "Never"}
        with pytest.raises(ApiError, match="registries"):
            api.apply(named(workload(kind, {**spec, **ends}), "bad"))
    with pytest.raises(ApiError, match="registries"):
        api.apply(named(pod(spec), "bad"))
    api.apply(named(pod(fine("nothing changed")), "good"))
    api.apply(named(workload("JobSet", {**fine("nothing changed"), "restartPolicy": "Never"}), "good"))
    api.apply(named(pod(spec), "bad", "elsewhere"))


def test_a_name_that_the_server_makes_and_labels_that_pretend_change_nothing(api: Api) -> None:
    bad = pod(cheated("a tag")[0])
    bad["metadata"] = {
        "generateName": "plimsoll-",
        "namespace": "shop",
        "labels": {"app.kubernetes.io/managed-by": "plimsoll"},
    }
    answer = ask(api, "POST", "/api/v1/namespaces/shop/pods", bad)
    assert answer.code in (400, 403)
    assert "images-pinned" in answer.text
