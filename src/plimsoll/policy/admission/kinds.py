"""Which requests admission judges: pods, what is added to them later, and what makes pods. Pure.

Pods themselves are judged too, so that a kind that is missing here is refused one step later.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plimsoll.policy.facts import Document

RESOURCES: Mapping[tuple[str, tuple[str, ...]], tuple[str, ...]] = MappingProxyType(
    {
        ("", ("v1",)): ("pods", "pods/ephemeralcontainers", "replicationcontrollers", "podtemplates"),
        ("apps", ("v1",)): ("deployments", "replicasets", "statefulsets", "daemonsets"),
        ("batch", ("v1",)): ("jobs", "cronjobs"),
        ("jobset.x-k8s.io", ("*",)): ("jobsets",),
        ("leaderworkerset.x-k8s.io", ("*",)): ("leaderworkersets",),
    }
)
"""Resources by group and versions."""
KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": ("Pod", "ReplicationController", "PodTemplate"),
        "apps": ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"),
        "batch": ("Job", "CronJob"),
        "jobset.x-k8s.io": ("JobSet",),
        "leaderworkerset.x-k8s.io": ("LeaderWorkerSet",),
    }
)
"""The same as kinds by group, as Gatekeeper has them."""
_LEADER = "w.spec.leaderWorkerTemplate"
POD_SPECS = (
    "object.kind == 'Pod' ? [w.spec]"
    " : object.kind == 'PodTemplate' ? [w.template.spec]"
    " : object.kind == 'CronJob' ? [w.spec.jobTemplate.spec.template.spec]"
    " : object.kind == 'JobSet' ? w.spec.replicatedJobs.map(j, j.template.spec.template.spec)"
    f" : object.kind == 'LeaderWorkerSet' ? [{_LEADER}.workerTemplate.spec]"
    f" + (has({_LEADER}.leaderTemplate) ? [{_LEADER}.leaderTemplate.spec] : [])"
    " : [w.spec.template.spec]"
).replace("w.", "variables.whole.")
"""The pod specs of an object of these kinds, as an expression. One that has none is an error, which refuses."""


def resource_rules() -> list[Document]:
    """The rules of requests for a policy of admission. An update may change an image."""
    return [
        {
            "apiGroups": [group],
            "apiVersions": list(versions),
            "operations": ["CREATE", "UPDATE"],
            "resources": list(resources),
        }
        for (group, versions), resources in RESOURCES.items()
    ]
