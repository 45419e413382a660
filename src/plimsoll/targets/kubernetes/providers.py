"""What of a cluster carries which need, best first, and why. Pure. A new provider is a line here and its module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.kubernetes.cluster import (
    GATEWAY,
    JOBSET,
    KEDA,
    KSERVE,
    KUEUE,
    MONITORING,
    POD_GROUP,
    RAY,
    TRAINER,
    Cluster,
)


class Choice(Struct, frozen=True, kw_only=True):
    """One need with what carries it. `why` is for people; `others` could carry it too, in their order."""

    need: str
    provider: str
    why: str
    others: tuple[str, ...] = ()


class _Offer(Struct, frozen=True, kw_only=True):
    """A provider. `ready` gives the reason why it can carry the need on a cluster, empty when it cannot."""

    name: str
    ready: Callable[[Cluster], str]


def _kueue(cluster: Cluster) -> str:
    if not (cluster.serves(f"{JOBSET}/JobSet") and cluster.serves(f"{KUEUE}/LocalQueue")):
        return ""
    if cluster.queues:
        return f"Kueue's queue {cluster.queues[0]} of namespace {cluster.namespace} admits a gang whole"
    if cluster.admitting:
        return f"Kueue's cluster queue {cluster.admitting[0]} admits a gang whole"
    return ""


def _served(kind: str, words: str) -> Callable[[Cluster], str]:
    return lambda cluster: words if cluster.serves(kind) else ""


def _trainer(cluster: Cluster) -> str:
    both = cluster.serves(f"{TRAINER}/TrainJob") and cluster.serves(f"{JOBSET}/JobSet")
    return "Kubeflow Trainer starts workers together; a part of them may start alone" if both else ""


def _gateway(cluster: Cluster) -> str:
    if not cluster.gateways or not cluster.serves(f"{GATEWAY}/HTTPRoute"):
        return ""
    return f"GatewayClass {cluster.gateways[0]} is accepted"


def _hpa(cluster: Cluster) -> str:
    by = "requests under way" if cluster.custom_metrics else "processor time, for the cluster has no custom metrics"
    zero = "; to zero by KEDA" if cluster.serves(f"{KEDA}/ScaledObject") else ""
    return f"a HorizontalPodAutoscaler by {by}{zero}"


NEEDS: Mapping[str, tuple[_Offer, ...]] = {
    "gang": (
        _Offer(name="kueue", ready=_kueue),
        _Offer(
            name="podgroup",
            ready=_served(f"{POD_GROUP}/PodGroup", "Kubernetes' own PodGroup binds all pods of a gang or none"),
        ),
        _Offer(name="trainjob", ready=_trainer),
        _Offer(
            name="jobset",
            ready=_served(f"{JOBSET}/JobSet", "JobSet restarts workers together; a part of them may start alone"),
        ),
        _Offer(name="job", ready=lambda _: "an Indexed Job; a part of the workers may start alone"),
    ),
    "ray": (
        _Offer(name="pods", ready=lambda _: "a Ray node in each pod of the gang"),
        _Offer(name="rayjob", ready=_served(f"{RAY}/RayJob", "KubeRay keeps a Ray cluster for the training")),
    ),
    "serving": (
        _Offer(name="deployment", ready=lambda _: "a Deployment and a Service"),
        _Offer(name="kserve", ready=_served(f"{KSERVE}/InferenceService", "KServe keeps the servers")),
    ),
    "traffic": (
        _Offer(name="gateway", ready=_gateway),
        _Offer(name="service", ready=lambda _: "no accepted GatewayClass: reached inside the cluster only"),
    ),
    "scale": (
        _Offer(name="hpa", ready=_hpa),
        _Offer(name="keda", ready=_served(f"{KEDA}/ScaledObject", "KEDA by requests under way, to zero too")),
    ),
    "metrics": (
        _Offer(name="operator", ready=_served(f"{MONITORING}/ServiceMonitor", "the Prometheus operator is there")),
        _Offer(name="annotations", ready=lambda _: "prometheus.io annotations on pods"),
    ),
}


def needs(cluster: Cluster, preferred: Iterable[str] = ()) -> tuple[str, ...]:
    """What is chosen for on a cluster: Ray's own way only where there is another, or where one is asked for."""
    ray = cluster.serves(f"{RAY}/RayJob") or "rayjob" in preferred
    return tuple(need for need in NEEDS if need != "ray" or ray)


def choose(cluster: Cluster, need: str, preferred: Iterable[str] = ()) -> Choice:
    """What carries a need on this cluster. Raises FileError for a preference that cannot carry it."""
    able = {offer.name: why for offer in NEEDS[need] if (why := offer.ready(cluster))}
    wanted = [name for name in preferred if name in {offer.name for offer in NEEDS[need]}]
    for name in wanted:
        if name not in able:
            there = f"there: {', '.join(able)}" if able else "nothing there can"
            raise FileError(
                f"{name} cannot carry {need} on {cluster.target}: it is not served there, or has nothing to work with",
                where="--prefer",
                hint=there,
            )
    if not able:
        names = ", ".join(offer.name for offer in NEEDS[need])
        raise FileError(f"nothing on {cluster.target} can carry {need}", where="--target", hint=f"install {names}")
    name = next(iter(wanted or able))
    why = able[name] if not wanted else f"{able[name]} (as preferred)"
    return Choice(need=need, provider=name, why=why, others=tuple(other for other in able if other != name))


def never_zero(cluster: Cluster, serving: str) -> str:
    """Why a service cannot be without any server on this cluster; empty where it can."""
    if not cluster.serves(f"{KEDA}/ScaledObject"):
        return "KEDA is not installed"
    return "KServe keeps the servers (--prefer deployment does not)" if serving == "kserve" else ""


def unknown_preferences(preferred: Iterable[str]) -> list[str]:
    """Names that no need has a provider of."""
    known = {offer.name for offers in NEEDS.values() for offer in offers}
    return [name for name in preferred if name not in known]
