"""The rights that an application needs on a cluster: no more than its file and the chosen providers ask for. Pure.

They follow from the objects that its plan would make, and from what is read of them. `why` says what a right is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from plimsoll.kinds.serve import Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.access import Act
from plimsoll.kubernetes.cluster import (
    DRA,
    GATEWAY,
    KUEUE,
    Cluster,
    group_of,
    resource_named,
    resource_of,
)
from plimsoll.kubernetes.discovery import HOSTING, MADE_WITH, OURS, PUBLIC
from plimsoll.planning.steps import Plan
from plimsoll.targets.kubernetes.names import LEASES
from plimsoll.targets.kubernetes.preview import Previewed, preview
from plimsoll.targets.kubernetes.registry_tunnel import service_behind

_OF_PODS = (
    "what picks a replica may read pods and pools, servers may ask what their callers may do, and what moves requests "
    "to a standby may change their route"
)
WHY: Mapping[str, str] = {
    "namespaces": "everything of an application lies in one namespace",
    "configmaps": "they hold the keys that verify models, and what services serve",
    "configmaps in kube-public": "the cluster publishes its registry and base image there",
    "serviceaccounts": "pods run under accounts without rights here, and pull images as the namespace's own does",
    "pods": "workers and servers are watched by their pods",
    "pods/log": "it is read what workers print",
    "pods/portforward": "services, and a registry inside the cluster, are reached through the API server",
    "pods/proxy": "servers are asked for their counts and their drift",
    "services": "workers and servers are found by their names",
    "jobs": "steps run as Jobs",
    "jobsets": "gangs run as JobSets",
    "localqueues": "gangs wait in a queue",
    "clusterqueues": "a queue that admits gangs is looked for",
    "podgroups": "gangs are bound together by their PodGroup",
    "deployments": "servers run as Deployments",
    "networkpolicies": "servers are reached at their port alone",
    "poddisruptionbudgets": "a drained node takes one server after the other",
    "horizontalpodautoscalers": "servers are as many as their requests want",
    "leases": "one run at a time has the application, and one promotion a service",
    "nodes": "nodes say under which resource accelerators are counted, and in which rack they are",
    "gatewayclasses": "a gateway has one of the cluster's classes",
    "gateways": "services are reached from outside by a gateway",
    "httproutes": "a route leads requests to servers",
    "inferencepools": "replicas of a language model are led to by what they have read",
    "roles": _OF_PODS,
    "rolebindings": _OF_PODS,
    "secrets": "servers know their callers by a Secret",
    "localsubjectaccessreviews": "servers ask what their callers may do, and get that right from you",
    "trainingjobs": "trainings are handed to SageMaker by its controller",
    "deviceclasses": "accelerators are claimed of a class",
    "resourceclaimtemplates": "accelerators are claimed",
}


class Need(Struct, frozen=True, kw_only=True):
    """One right, for one object alone where its act has a name. `later` is one that no run needs, but a promotion."""

    act: Act
    why: str
    later: bool = False


def why(act: Act) -> str:
    """What a right is for, in words; empty where no sentence of ours fits."""
    return WHY.get(f"{act.resource} in {act.namespace}") or WHY.get(act.resource, "")


def needs_of(plan: Plan, cluster: Cluster, chosen: Mapping[str, str], *, published: bool = True) -> tuple[Need, ...]:
    """Every right that running, watching, calling, promoting and removing an application needs, each once.

    `published` says that the registry or the base image is read from what the cluster publishes.
    """
    previews = preview(plan, cluster, chosen)
    serves = any(isinstance(each.step.work, Serve) for each in previews)
    found = [
        *_in_namespace(previews, cluster, chosen, serves=serves),
        *_registry(cluster, published=published),
        *_of_cluster(plan, cluster, chosen, serves=serves),
    ]
    return tuple(dict.fromkeys(found))


def _needs(
    verbs: Iterable[str],
    resource: str,
    namespace: str,
    group: str = "",
    names: tuple[str, ...] = ("",),
    *,
    later: bool = False,
) -> Iterator[Need]:
    for verb in verbs:
        for name in names:
            act = Act(verb=verb, group=group, resource=resource, namespace=namespace, name=name)
            yield Need(act=act, why=why(act), later=later)


def _in_namespace(
    previews: list[Previewed], cluster: Cluster, chosen: Mapping[str, str], *, serves: bool
) -> Iterator[Need]:
    namespace = cluster.namespace
    made = {(each["apiVersion"], each["kind"]) for found in previews for each in found.objects}
    watched = {kind for found in previews for kind in found.watched}
    # The keys by which pods verify models.
    for api_version, kind in sorted({*made, ("v1", "ConfigMap")}):
        yield from _needs(MADE_WITH, resource_of(kind), namespace, group_of(api_version))
    for api_version, kind in sorted(watched):
        yield from _needs(("get",), resource_of(kind), namespace, group_of(api_version))
    if serves and (chosen["serving"] == "kserve" or chosen.get("engines") == "llminferenceservice"):
        yield from _needs(("get", "list", "delete"), "deployments", namespace, "apps")
    if watched:
        yield from _needs(("delete",), "pods", namespace)
        yield from _needs(("get",), "pods/log", namespace)
    yield from _needs(("list",), "pods", namespace)
    yield from _needs(("get", "create", "patch", "delete"), "leases", namespace, group_of(LEASES))
    if cluster.queues or chosen["gang"] == "kueue":
        yield from _needs(("list",), "localqueues", namespace, group_of(KUEUE))
    if serves or cluster.identity is not None:
        yield from _needs(("get",), "serviceaccounts", namespace, names=("default",))
    if serves:
        # Other kinds of requests than GET are not sent over a WebSocket, and from 1.35 on both rights are asked for.
        yield from _needs(("get", "create"), "pods/portforward", namespace)
        yield from _needs(("list",), "leases", namespace, group_of(LEASES))
        yield from _needs(("get",), "pods/proxy", namespace, later=True)
        yield from _callers(previews, namespace)


def _callers(previews: Iterable[Previewed], namespace: str) -> Iterator[Need]:
    """What services need that ask who calls them."""
    asking = [auth for each in previews if isinstance(each.step.work, Serve) and (auth := each.step.work.auth)]
    if asking:
        yield from _needs(("get", "create", "patch"), "secrets", namespace)
    if any(auth.kubernetes is not None for auth in asking):
        # Nobody may give a right that they do not have.
        yield from _needs(("create",), "localsubjectaccessreviews", namespace, "authorization.k8s.io")


def _registry(cluster: Cluster, *, published: bool) -> Iterator[Need]:
    """What the way to images, models and results needs."""
    if published:
        yield from _needs(("get",), "configmaps", PUBLIC, names=(HOSTING, OURS))
    place = cluster.registry
    if place is not None and place.us is None:
        service, namespace, _ = service_behind(place)
        yield from _needs(("get",), "services", namespace, names=(service,))
        yield from _needs(("list",), "pods", namespace)
        yield from _needs(("get", "create"), "pods/portforward", namespace)
        # The certificate authority of the cluster, which every namespace has.
        yield from _needs(("get",), "configmaps", cluster.namespace)


def _of_cluster(plan: Plan, cluster: Cluster, chosen: Mapping[str, str], *, serves: bool) -> Iterator[Need]:
    """What lies in no namespace, and only what the choice of providers cannot do without."""
    if serves and chosen["traffic"] == "gateway":
        yield from _needs(("list",), "gatewayclasses", "", group_of(GATEWAY))
    gangs = [step for step in plan.steps if isinstance(step.work, TrainGang) and step.workers > 1]
    if gangs and chosen["gang"] == "kueue" and not cluster.queues:
        yield from _needs(("list",), "clusterqueues", "", group_of(KUEUE))
    counted = any(step.resources.accelerators for step in plan.steps)
    placed = any(isinstance(step.work, TrainGang) and step.work.topology for step in plan.steps)
    if placed or (counted and (cluster.accelerator or not cluster.classes)):
        yield from _needs(("list",), "nodes", "")
    if counted and not cluster.accelerator and cluster.serves(f"{DRA}/DeviceClass"):
        yield from _needs(("list",), resource_named(f"{DRA}/DeviceClass").partition(".")[0], "", group_of(DRA))
