"""Operators that are known: for each a bad object, its near twin that is good, and when it has been carried out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller.kserve import KServe
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

JOBSET = "jobset.x-k8s.io/v1alpha2"
TRAINER = "trainer.kubeflow.org/v1alpha1"


class Operator(Protocol):
    """One operator.

    `resource` is how webhooks' rules name its kind: plural and group. `controller` is a word in the name of the service
    behind its own webhook; others (such as Kueue's) look at the same kind. `part` is what a good object refers to.
    """

    name: str
    api_version: str
    kind: str
    resource: str
    controller: str
    part: str

    def prepare(self, ns: ProbeNamespace) -> None:
        """What a good object needs besides itself."""

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """An object that refers to one of its parts by name: good with `self.part`, bad with any other.

        Its pods run `script`, if their script is the object's and not of what `prepare` made.
        """

    def pods(self, name: str) -> str:
        """A selector of the object's pods."""

    def done(self, found: Mapping[str, Any]) -> bool:
        """Whether the object says that it has been carried out."""


class JobSet:
    """The JobSet controller."""

    name, api_version, kind = "JobSet", JOBSET, "JobSet"
    resource = "jobsets.jobset.x-k8s.io"
    controller, part = "jobset", "workers"

    def prepare(self, ns: ProbeNamespace) -> None:
        """Nothing."""

    def pods(self, name: str) -> str:
        """JobSet's own label."""
        return f"jobset.sigs.k8s.io/jobset-name={name}"

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """A success policy over one of its jobs."""
        pod = {"restartPolicy": "Never", "containers": [ns.container(script)]}
        job = {"spec": {"parallelism": 2, "completions": 2, "backoffLimit": 0, "template": {"spec": pod}}}
        policy = {"operator": "All", "targetReplicatedJobs": [part]}
        spec = {"replicatedJobs": [{"name": "workers", "replicas": 1, "template": job}], "successPolicy": policy}
        return {"apiVersion": JOBSET, "kind": "JobSet", "metadata": {"name": name}, "spec": spec}

    def done(self, found: Mapping[str, Any]) -> bool:
        """The condition Completed."""
        return has_condition(found, "Completed")


class Trainer:
    """Kubeflow Trainer."""

    name, api_version, kind = "Kubeflow Trainer", TRAINER, "TrainJob"
    resource = "trainjobs.trainer.kubeflow.org"
    controller, part = "trainer", "node"

    def prepare(self, ns: ProbeNamespace) -> None:
        """A runtime of the namespace's own."""
        container = {**ns.container("true"), "name": "node"}
        template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
        template["metadata"] = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}  # type: ignore[dict-item]
        jobs = [{"name": "node", "template": template}]
        spec = {"mlPolicy": {"numNodes": 2}, "template": {"spec": {"replicatedJobs": jobs}}}
        ns.apply({"apiVersion": TRAINER, "kind": "TrainingRuntime", "metadata": {"name": "plain"}, "spec": spec})

    def pods(self, name: str) -> str:
        """A TrainJob's pods are those of the JobSet of its name."""
        return f"jobset.sigs.k8s.io/jobset-name={name}"

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """A job of that runtime which overrides one of the runtime's jobs, and gives its command."""
        reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "plain"}
        overrides = [{"targetJobs": [{"name": part}], "nodeSelector": {"kubernetes.io/os": "linux"}}]
        trainer = {"command": ["sh", "-c", script]}
        spec = {"runtimeRef": reference, "podSpecOverrides": overrides, "trainer": trainer}
        return {"apiVersion": TRAINER, "kind": "TrainJob", "metadata": {"name": name}, "spec": spec}

    def done(self, found: Mapping[str, Any]) -> bool:
        """The condition Complete."""
        return has_condition(found, "Complete")


UNTRIED: Mapping[str, str] = MappingProxyType(
    {
        # Its webhook stands before every pod of a cluster, so that its controller's end would be everybody's affair.
        "kueue.x-k8s.io": "Kueue",
        "ray.io": "KubeRay",
        "kubeflow.org": "Kubeflow's training operator",
        "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    }
)
"""Operators of AI workloads that are known by their API group, and not tried."""
_ALL: tuple[type[Any], ...] = (JobSet, Trainer, KServe)
TRIED = f"{', '.join(kind.name for kind in _ALL[:-1])} and {_ALL[-1].name}"
"""The names of those that are."""


def present(facts: ClusterFacts) -> list[Operator]:
    """Operators whose objects the cluster serves."""
    return [kind() for kind in _ALL if kind.api_version in facts.served]
