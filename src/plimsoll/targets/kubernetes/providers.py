"""What of a cluster carries which need, best first, and why. Pure. A new provider is a line here and its module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.kinds.serve import UNROUTED
from plimsoll.kubernetes.cluster import (
    GATEWAY,
    INFERENCE,
    JOBSET,
    KEDA,
    KSERVE,
    KSERVE_LLM,
    KUEUE,
    MONITORING,
    POD_GROUP,
    RAY,
    SAGEMAKER,
    TRAINER,
    Cluster,
    resource_named,
)

PRINT_RIGHTS = "plimsoll run --print-rbac"


class Choice(Struct, frozen=True, kw_only=True):
    """One need with what carries it. `why` is for people; `others` could carry it too, in their order."""

    need: str
    provider: str
    why: str
    others: tuple[str, ...] = ()


class _Offer(Struct, frozen=True, kw_only=True):
    """A provider. `ready` gives the reason why it can carry the need on a cluster, empty when it cannot.

    It makes objects of `kinds`, the first of which says whether a cluster has it; `lists` are resources that have to be
    seen to know whether it can carry the need.
    """

    name: str
    ready: Callable[[Cluster], str]
    kinds: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    def barred(self, cluster: Cluster) -> str:
        """Which right is missing for it on a cluster that has it; empty where none is, or where it is not there."""
        if not self._is_served(cluster):
            return ""
        for kind in self.kinds:
            if verb := cluster.barred.get(kind):
                return f"you may not {verb} {resource_named(kind)} in namespace {cluster.namespace}"
        unseen = [each for each in self.lists if each in cluster.unseen]
        return f"you may not list {unseen[0]}" if unseen and not self.ready(cluster) else ""

    def able(self, cluster: Cluster) -> str:
        """Why it can carry the need with the caller's rights; empty when it cannot."""
        return self.ready(cluster) if self._is_served(cluster) and not self.barred(cluster) else ""

    def _is_served(self, cluster: Cluster) -> bool:
        return all(cluster.serves(kind) for kind in self.kinds[:1])


_LOCAL_QUEUE = f"{KUEUE}/LocalQueue"


def _kueue(cluster: Cluster) -> str:
    if not cluster.serves(_LOCAL_QUEUE):
        return ""
    if cluster.queues:
        return f"Kueue's queue {cluster.queues[0]} of namespace {cluster.namespace} admits a gang whole"
    if cluster.admitting and cluster.takes(_LOCAL_QUEUE):
        return f"Kueue's cluster queue {cluster.admitting[0]} admits a gang whole"
    return ""


def _always(words: str) -> Callable[[Cluster], str]:
    return lambda _: words


def _trainer(cluster: Cluster) -> str:
    words = "Kubeflow Trainer starts workers together; a part of them may start alone"
    return words if cluster.serves(f"{JOBSET}/JobSet") else ""


def _sagemaker(cluster: Cluster) -> str:
    """Never by itself: machines are rented."""
    place = cluster.sagemaker
    return f"Amazon SageMaker on {place.instance}, by the ACK controller" if place is not None else ""


def _endpoint(cluster: Cluster) -> str:
    """Never by itself either."""
    place = cluster.sagemaker
    return f"Endpoints of Amazon SageMaker on {place.serve}" if place is not None and place.serve else ""


def _gateway(cluster: Cluster) -> str:
    return f"GatewayClass {cluster.gateways[0]} is accepted" if cluster.gateways else ""


def _inside(cluster: Cluster) -> str:
    """Whether there is no gateway, or one that may not be used: the reason for that is told beside."""
    why = "" if cluster.gateways or cluster.unseen else "no accepted GatewayClass: "
    return f"{why}reached inside the cluster only"


def _pool(cluster: Cluster) -> str:
    words = (
        "the Inference Extension's picker leads to replicas of language models by what they have read, and llm-d's to "
        "engines that only read, where `prefill` asks for them"
    )
    return words if cluster.gateways else ""


def _hpa(cluster: Cluster) -> str:
    by = "requests under way" if cluster.custom_metrics else "processor time, for the cluster has no custom metrics"
    zero = "; to zero by KEDA" if cluster.takes(f"{KEDA}/ScaledObject") else ""
    return f"a HorizontalPodAutoscaler by {by}{zero}"


NEEDS: Mapping[str, tuple[_Offer, ...]] = {
    "gang": (
        _Offer(
            name="kueue",
            ready=_kueue,
            kinds=(f"{JOBSET}/JobSet",),
            lists=(resource_named(f"{KUEUE}/ClusterQueue"), resource_named(_LOCAL_QUEUE)),
        ),
        _Offer(
            name="podgroup",
            ready=_always("Kubernetes' own PodGroup binds all pods of a gang or none"),
            kinds=(f"{POD_GROUP}/PodGroup",),
        ),
        _Offer(
            name="trainjob",
            ready=_trainer,
            kinds=(f"{TRAINER}/TrainJob", f"{TRAINER}/TrainingRuntime"),
        ),
        _Offer(
            name="jobset",
            ready=_always("JobSet restarts workers together; a part of them may start alone"),
            kinds=(f"{JOBSET}/JobSet",),
        ),
        _Offer(name="job", ready=_always("an Indexed Job; a part of the workers may start alone")),
    ),
    "ray": (
        _Offer(name="pods", ready=_always("a Ray node in each pod of the gang")),
        _Offer(name="rayjob", ready=_always("KubeRay keeps a Ray cluster for the training"), kinds=(f"{RAY}/RayJob",)),
    ),
    "training": (
        _Offer(name="pods", ready=_always("pods of this cluster")),
        _Offer(name="sagemaker", ready=_sagemaker, kinds=(f"{SAGEMAKER}/TrainingJob",)),
    ),
    "serving": (
        _Offer(name="deployment", ready=_always("a Deployment and a Service")),
        _Offer(name="kserve", ready=_always("KServe keeps the servers"), kinds=(f"{KSERVE}/InferenceService",)),
        _Offer(
            name="endpoint",
            ready=_endpoint,
            kinds=(f"{SAGEMAKER}/Endpoint", f"{SAGEMAKER}/EndpointConfig", f"{SAGEMAKER}/Model"),
        ),
    ),
    "engines": (
        _Offer(name="sidecar", ready=_always("vllm and tgi run beside our server, in pods like those of all services")),
        _Offer(
            name="llminferenceservice",
            ready=_always("KServe's LLMInferenceService keeps the pods of vllm and tgi"),
            kinds=(f"{KSERVE_LLM}/LLMInferenceService",),
        ),
    ),
    "traffic": (
        _Offer(
            name="gateway",
            ready=_gateway,
            kinds=(f"{GATEWAY}/HTTPRoute", f"{GATEWAY}/Gateway"),
            lists=(resource_named(f"{GATEWAY}/GatewayClass"),),
        ),
        _Offer(name="service", ready=_inside),
    ),
    "routing": (
        _Offer(
            name="inferencepool",
            ready=_pool,
            kinds=(f"{INFERENCE}/InferencePool",),
            lists=(resource_named(f"{GATEWAY}/GatewayClass"),),
        ),
        _Offer(name="service", ready=_always(UNROUTED)),
    ),
    "scale": (
        _Offer(name="hpa", ready=_hpa),
        _Offer(
            name="keda",
            ready=_always("KEDA by requests under way, to zero too"),
            kinds=(f"{KEDA}/ScaledObject",),
        ),
    ),
    "metrics": (
        _Offer(
            name="operator",
            ready=_always("the Prometheus operator is there"),
            kinds=(f"{MONITORING}/ServiceMonitor", f"{MONITORING}/PrometheusRule"),
        ),
        _Offer(name="annotations", ready=_always("prometheus.io annotations on pods")),
    ),
}


def needs(cluster: Cluster, preferred: Iterable[str] = ()) -> tuple[str, ...]:
    """What is chosen for on a cluster: Ray's own way only where there is another, or where one is asked for; so too
    what keeps engines of language models, what leads to replicas, and who trains."""
    others = {
        "engines": cluster.serves(f"{KSERVE_LLM}/LLMInferenceService") or "llminferenceservice" in preferred,
        "training": cluster.sagemaker is not None or "sagemaker" in preferred,
        "ray": cluster.serves(f"{RAY}/RayJob") or "rayjob" in preferred,
        "routing": cluster.serves(f"{INFERENCE}/InferencePool") or "inferencepool" in preferred,
    }
    return tuple(need for need in NEEDS if others.get(need, True))


def choose(cluster: Cluster, need: str, preferred: Iterable[str] = ()) -> Choice:
    """What carries a need on this cluster. Raises FileError for a preference that cannot carry it."""
    able = {offer.name: why for offer in NEEDS[need] if (why := offer.able(cluster))}
    barred = {offer.name: why for offer in NEEDS[need] if (why := offer.barred(cluster))}
    wanted = [name for name in preferred if name in {offer.name for offer in NEEDS[need]}]
    for name in wanted:
        if name in barred:
            text = f"{name} cannot carry {need} on {cluster.target}: {barred[name]}"
            raise FileError(text, where="--prefer", hint=f"{PRINT_RIGHTS} prints the rights that it needs")
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
    if wanted:
        why = f"{able[name]} (as preferred)"
    else:
        order = [offer.name for offer in NEEDS[need]]
        # What would have come first is named with the right that it lacks.
        passed = [f"not {other}: {barred[other]}" for other in order[: order.index(name)] if other in barred]
        why = "; ".join([able[name], *passed])
    return Choice(need=need, provider=name, why=why, others=tuple(other for other in able if other != name))


def never_zero(cluster: Cluster, serving: str) -> str:
    """Why a service cannot be without any server on this cluster; empty where it can."""
    scaled = f"{KEDA}/ScaledObject"
    if serving == "endpoint":
        return "an Endpoint of SageMaker always has a machine"
    if not cluster.serves(scaled):
        return "KEDA is not installed"
    if verb := cluster.barred.get(scaled):
        return f"you may not {verb} {resource_named(scaled)} in namespace {cluster.namespace}"
    return "KServe keeps the servers (--prefer deployment does not)" if serving == "kserve" else ""


def unknown_preferences(preferred: Iterable[str]) -> list[str]:
    """Names that no need has a provider of."""
    known = {offer.name for offers in NEEDS.values() for offer in offers}
    return [name for name in preferred if name not in known]
