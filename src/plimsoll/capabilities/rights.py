"""The rights that a check needs, as data: printed, asked for before anything is made, and no more used than these."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from plimsoll.kubernetes.api import Api, Manifest

NAME = "plimsoll-check"
_MAKE = ("create", "patch", "delete")
_FOLLOW = ("get", "list", "watch")
_POOLS = "inference.networking.k8s.io"


class Right(Struct, frozen=True, kw_only=True):
    """Verbs on resources of an API group. `reading` says that the inventory alone needs it.

    `where` is the group that has to be served for it to be needed, its own unless it says another.
    """

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    reading: bool = False
    where: str = ""


RIGHTS = (
    Right(group="", resources=("nodes", "pods", "namespaces"), verbs=("get", "list"), reading=True),
    Right(group="apps", resources=("deployments", "statefulsets", "daemonsets"), verbs=("get", "list"), reading=True),
    Right(
        group="resource.k8s.io",
        resources=("resourceslices", "deviceclasses", "resourceclaims"),
        verbs=("get", "list"),
        reading=True,
    ),
    Right(group="node.k8s.io", resources=("runtimeclasses",), verbs=("get", "list"), reading=True),
    Right(group="storage.k8s.io", resources=("storageclasses",), verbs=("get", "list"), reading=True),
    Right(
        group="admissionregistration.k8s.io",
        resources=("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
        verbs=("get", "list"),
        reading=True,
    ),
    Right(group="gateway.networking.k8s.io", resources=("gatewayclasses",), verbs=("get", "list"), reading=True),
    Right(group="karpenter.sh", resources=("nodepools",), verbs=("get", "list"), reading=True),
    Right(group="monitoring.coreos.com", resources=("prometheuses",), verbs=("get", "list"), reading=True),
    Right(
        group="kueue.x-k8s.io",
        resources=("clusterqueues", "resourceflavors", "workloads"),
        verbs=("get", "list"),
        reading=True,
    ),
    Right(group="", resources=("namespaces", "pods", "services", "configmaps"), verbs=_MAKE),
    Right(group="", resources=("pods/log", "serviceaccounts", "services"), verbs=("get",)),
    Right(group="", resources=("events",), verbs=("list",)),
    Right(group="coordination.k8s.io", resources=("leases",), verbs=("list",)),
    Right(group="apps", resources=("deployments",), verbs=_MAKE),
    Right(group="batch", resources=("jobs",), verbs=_MAKE),
    Right(group="autoscaling", resources=("horizontalpodautoscalers",), verbs=("get", *_MAKE)),
    Right(group="resource.k8s.io", resources=("resourceclaims",), verbs=_MAKE),
    Right(group="scheduling.k8s.io", resources=("podgroups",), verbs=("get", *_MAKE)),
    Right(group="scheduling.x-k8s.io", resources=("podgroups",), verbs=("get", *_MAKE)),
    Right(group="scheduling.volcano.sh", resources=("podgroups",), verbs=("get", *_MAKE)),
    Right(group="kueue.x-k8s.io", resources=("clusterqueues", "resourceflavors", "localqueues"), verbs=_MAKE),
    Right(group="jobset.x-k8s.io", resources=("jobsets",), verbs=("get", *_MAKE)),
    Right(group="serving.kserve.io", resources=("inferenceservices",), verbs=("get", *_MAKE)),
    Right(group="trainer.kubeflow.org", resources=("trainjobs", "trainingruntimes"), verbs=("get", *_MAKE)),
    Right(group="gateway.networking.k8s.io", resources=("gateways", "httproutes"), verbs=("get", "list", *_MAKE)),
    Right(group="monitoring.coreos.com", resources=("servicemonitors", "podmonitors"), verbs=_MAKE),
    Right(group=_POOLS, resources=("inferencepools",), verbs=(*_FOLLOW, *_MAKE)),
    # A picker is brought along, with an account that may do what it does: nobody may give away more than he has.
    Right(group="", resources=("serviceaccounts",), verbs=_MAKE, where=_POOLS),
    Right(group="", resources=("pods",), verbs=_FOLLOW, where=_POOLS),
    Right(group="inference.networking.x-k8s.io", resources=("inferenceobjectives",), verbs=_FOLLOW),
    Right(group="rbac.authorization.k8s.io", resources=("roles", "rolebindings"), verbs=_MAKE, where=_POOLS),
)


def cluster_role() -> Manifest:
    """The ClusterRole with all of it."""
    rules = [
        {"apiGroups": [each.group], "resources": list(each.resources), "verbs": list(each.verbs)} for each in RIGHTS
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    }


def missing(api: Api, served: frozenset[str], *, reading: bool) -> list[str]:
    """Rights that the caller lacks, as `verb resource.group`, of groups that the cluster serves."""
    groups = {each.rpartition("/")[0] for each in served}
    wanted = [
        (right.group, resource, verb)
        for right in RIGHTS
        if right.group in groups and right.where in {"", *groups} and (right.reading or not reading)
        for resource in right.resources
        for verb in right.verbs
    ]
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda each: _may(api, *each), wanted))
    lacking = [each for each, may in zip(wanted, allowed, strict=True) if not may]
    return [f"{verb} {resource}{f'.{group}' if group else ''}" for group, resource, verb in lacking]


def _may(api: Api, group: str, resource: str, verb: str) -> bool:
    """Source: the API SelfSubjectAccessReview, which everybody may ask."""
    name, _, part = resource.partition("/")
    attributes: dict[str, Any] = {"group": group, "resource": name, "verb": verb, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    return bool(answer["status"].get("allowed"))
