"""The known operators: for each a bad object, its near twin that is good, and how the object reports its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller.kserve import KServe
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

JOBSET = "jobset.x-k8s.io/v1alpha2"
TRAINER = "trainer.kubeflow.org/v1alpha1"


class Operator(Protocol):
    """One operator.

    `resource` is its kind in the rules of webhooks: plural and group. `controller` is a word in the name of the service
    behind its own webhook; other webhooks (such as Kueue's) have rules for the same kind. `part` is the name that a
    good object refers to.
    """

    name: str
    api_version: str
    kind: str
    resource: str
    controller: str
    part: str

    def prepare(self, ns: ProbeNamespace) -> None:
        """Create what a good object needs."""

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """An object that refers to one of its parts by name: good with `self.part`, bad with any other.

        Its pods run `script`, unless `prepare` created the manifest of their script.
        """

    def pods(self, name: str) -> str:
        """The label selector of the object's pods."""

    def worked(self, pod: Manifest) -> bool:
        """Whether one of the object's pods has done its work."""

    def done(self, found: Manifest) -> bool:
        """Whether the object reports its end."""


class JobSet:
    """The JobSet controller."""

    name, api_version, kind = "JobSet", JOBSET, "JobSet"
    resource = "jobsets.jobset.x-k8s.io"
    controller, part = "jobset", "workers"

    def prepare(self, ns: ProbeNamespace) -> None:
        """It needs nothing."""

    def pods(self, name: str) -> str:
        """By JobSet's own label."""
        return f"jobset.sigs.k8s.io/jobset-name={name}"

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """An object whose success policy names one of its jobs."""
        pod = {"restartPolicy": "Never", "containers": [ns.container(script)]}
        job = {"spec": {"parallelism": 2, "completions": 2, "backoffLimit": 0, "template": {"spec": pod}}}
        policy = {"operator": "All", "targetReplicatedJobs": [part]}
        spec = {"replicatedJobs": [{"name": "workers", "replicas": 1, "template": job}], "successPolicy": policy}
        return {"apiVersion": JOBSET, "kind": "JobSet", "metadata": {"name": name}, "spec": spec}

    def worked(self, pod: Manifest) -> bool:
        """When it has ended."""
        return bool(pod["status"].get("phase") == "Succeeded")

    def done(self, found: Manifest) -> bool:
        """By the condition Completed."""
        return has_condition(found, "Completed")


class Trainer:
    """Kubeflow Trainer."""

    name, api_version, kind = "Kubeflow Trainer", TRAINER, "TrainJob"
    resource = "trainjobs.trainer.kubeflow.org"
    controller, part = "trainer", "node"

    def prepare(self, ns: ProbeNamespace) -> None:
        """Create a runtime in the namespace."""
        container = {**ns.container("true"), "name": "node"}
        template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
        template["metadata"] = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}  # type: ignore[dict-item]
        jobs = [{"name": "node", "template": template}]
        spec = {"mlPolicy": {"numNodes": 2}, "template": {"spec": {"replicatedJobs": jobs}}}
        ns.apply({"apiVersion": TRAINER, "kind": "TrainingRuntime", "metadata": {"name": "plain"}, "spec": spec})

    def pods(self, name: str) -> str:
        """By the label of the JobSet with the same name."""
        return f"jobset.sigs.k8s.io/jobset-name={name}"

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """A job of that runtime that overrides one of the runtime's jobs, and sets its command."""
        reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "plain"}
        overrides = [{"targetJobs": [{"name": part}], "nodeSelector": {"kubernetes.io/os": "linux"}}]
        trainer = {"command": ["sh", "-c", script]}
        spec = {"runtimeRef": reference, "podSpecOverrides": overrides, "trainer": trainer}
        return {"apiVersion": TRAINER, "kind": "TrainJob", "metadata": {"name": name}, "spec": spec}

    def worked(self, pod: Manifest) -> bool:
        """When it has ended."""
        return bool(pod["status"].get("phase") == "Succeeded")

    def done(self, found: Manifest) -> bool:
        """By the condition Complete."""
        return has_condition(found, "Complete")


UNTRIED: Mapping[str, str] = MappingProxyType(
    {
        # The API server calls its webhook for every pod: the loss of its controller would affect the whole cluster.
        "kueue.x-k8s.io": "Kueue",
        "ray.io": "KubeRay",
        "kubeflow.org": "Kubeflow's training operator",
        "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    }
)
"""Operators of AI workloads, by API group, that the probe does not test."""
_ALL: tuple[Operator, ...] = (JobSet(), Trainer(), KServe())
TRIED = f"{', '.join(each.name for each in _ALL[:-1])} and {_ALL[-1].name}"
"""The names of the operators that the probe tests."""


def present(facts: ClusterFacts) -> list[Operator]:
    """The operators whose objects the cluster serves."""
    return [each for each in _ALL if each.api_version in facts.served]
