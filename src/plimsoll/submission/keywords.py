"""Words that show which requirement a page or a note is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct


class Keywords(Struct, frozen=True, kw_only=True):
    """The words of one requirement; the patterns match whole words in lower case.

    `distinctive` words are used for hardly any other requirement. `associated` words fit this requirement among
    others, and include the distinctive ones.
    """

    distinctive: re.Pattern[str]
    associated: re.Pattern[str]


def _keywords(distinctive: str, associated: str) -> Keywords:
    return Keywords(distinctive=_whole_words(distinctive), associated=_whole_words(f"{distinctive}|{associated}"))


def _whole_words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


_DEVICES = r"gpus?|accelerat\w*|devices?|nvidia|amd|tpus?|npus?|neuron|gaudi|cuda|rocm"

KEYWORDS: Mapping[str, Keywords] = MappingProxyType(
    {
        "dra_support": _keywords(
            r"dynamic resource allocation|dra|resource ?claims?|resource ?slices?|device ?class(?:es)?",
            rf"{_DEVICES}|allocation|feature gates?|resources?",
        ),
        "driver_runtime_management": _keywords(
            r"driver (?:management|versions?|installation|upgrade|lifecycle)|driver manager|container toolkit",
            rf"{_DEVICES}|drivers?|runtimes?|toolkit|containerd|nodes?|nfd|gfd|operator",
        ),
        "gpu_sharing": _keywords(
            r"gpu sharing|time ?sli\w+|mig|mps|fractional gpus?|hami",
            rf"{_DEVICES}|sharing|partition\w*|multi instance|fraction\w*|slic\w+|vgpu",
        ),
        "virtualized_accelerator": _keywords(
            r"vgpus?|virtual gpus?", rf"{_DEVICES}|virtual\w*|passthrough|grid|mig|hami"
        ),
        "ai_inference": _keywords(
            r"gateway api|http ?routes?|envoy gateway|traffic split\w*|kgateway|weighted routing|header based routing",
            r"gateway\w*|ingress\w*|inference\w*|rout\w+|traffic|mesh|istio|envoy|traefik|cilium|kong|nginx|haproxy|"
            r"load balanc\w+|networking|llm\w*|serving|kserve|contour|canary|openai",
        ),
        "advanced_inference_ingress": _keywords(
            r"inference extension|inference ?pools?|endpoint picker|gaie|inference gateway",
            r"gateway\w*|ingress\w*|inference\w*|rout\w+|llm\w*|serving|kserve|cache|epp|vllm",
        ),
        "high_performance_networking": _keywords(
            r"rdma|infiniband|dranet|multus|sr ?iov|roce|efa|gpudirect",
            r"network\w*|nic|nccl|dra|interconnect|fabric|topology|multi ?nic|multi network|cni",
        ),
        "disaggregated_inference": _keywords(
            r"disaggregat\w+|prefill|llm ?d|leader ?worker ?sets?",
            r"inference\w*|vllm|sglang|dynamo|serving|llm\w*|decode|lws|kserve|grove",
        ),
        "gang_scheduling": _keywords(
            r"gang|gang ?schedul\w+|kueue|volcano|co ?schedul\w+|pod ?groups?|all or nothing|kai scheduler|yunikorn",
            r"schedul\w+|queue\w*|batch|jobs?|job ?sets?|workloads?|training|mpi|hpc|run ?ai|kai|ray|kubeflow|slurm|"
            r"slinky",
        ),
        "cluster_autoscaling": _keywords(
            r"cluster autoscal\w+|karpenter|node autoscal\w+|node auto ?provision\w*|autoscaler",
            rf"{_DEVICES}|autoscal\w+|auto ?scal\w+|scal\w+|node ?pools?|node ?groups?|nodes?|machine\w*|provision\w+|"
            r"capi|cluster api|elastic\w*|workers?",
        ),
        "pod_autoscaling": _keywords(
            r"horizontal ?pod ?autoscal\w+|hpa|keda|pod autoscal\w+",
            rf"{_DEVICES}|autoscal\w+|auto ?scal\w+|scal\w+|metrics?|prometheus|adapter|replicas?|elastic\w*",
        ),
        "accelerator_metrics": _keywords(
            r"dcgm|gpu metrics?|gpu monitoring|gpu telemetry|accelerator metrics?",
            rf"{_DEVICES}|metrics?|monitor\w*|observab\w+|telemetry|exporters?|prometheus|grafana|dashboards?|otel",
        ),
        "ai_service_metrics": _keywords(
            r"service ?monitors?|pod ?monitors?|prometheus operator|managed prometheus|scrap\w+",
            r"metrics?|monitor\w*|observab\w+|telemetry|prometheus|grafana|dashboards?|otel|opentelemetry|vllm|"
            r"collect\w*|thanos|mimir|victoria\w*|alert\w*",
        ),
        "secure_accelerator_access": _keywords(
            r"(?:secure|isolated) accelerator|accelerator (?:access|isolation)|gpu isolation|device isolation",
            rf"{_DEVICES}|isolat\w+|secur\w+|device plugin|dra|access|mediat\w+|unauthori[sz]ed|mig|toolkit|"
            r"dynamic resource allocation|runtimes?|operator|containers?|tenan\w+|sandbox\w*",
        ),
        "workload_sandboxing": _keywords(
            r"gvisor|kata|sandbox\w*|runsc|confidential containers?",
            r"isolat\w+|secur\w+|runtime ?class\w*|runtimes?|micro ?vms?|virtual\w*|agents?",
        ),
        "robust_controller": _keywords(
            r"kube ?ray|ray operator|ray ?clusters?|ray ?jobs?|kubeflow|training operator|pytorch ?jobs?|train ?jobs?",
            r"operators?|controllers?|crds?|custom resources?|webhooks?|ray|trainer|training|kserve|kueue|volcano|"
            r"job ?sets?|dynamo|mlflow|seldon|spark|jupyter\w*|notebooks?|katib|kaito|ome|nim",
        ),
    }
)

# Names of the requirement itself, without the products that meet it. A note that denies one product does not deny the
# requirement, because another product can meet it.
_TERMS = {
    "dra_support": r"dynamic resource allocation|dra",
    "driver_runtime_management": r"driver (?:management|lifecycle|verification)",
    "gpu_sharing": r"(?:gpu|accelerator) sharing|fractional gpus?",
    "virtualized_accelerator": r"vgpus?|virtual gpus?|virtuali[sz]ed accelerators?",
    "ai_inference": r"(?:the )?gateway api|traffic split\w*|(?:weighted|header based) routing",
    "advanced_inference_ingress": r"(?:gateway api )?inference extension|gaie|advanced inference ingress",
    "high_performance_networking": r"rdma|high performance networking|dranet",
    "disaggregated_inference": r"disaggregated (?:inference|serving)|disaggregation",
    "gang_scheduling": r"gang ?schedul\w+|co ?schedul\w+",
    "cluster_autoscaling": r"(?:cluster|node) autoscal\w+|autoscaling",
    "pod_autoscaling": r"horizontal ?pod ?autoscal\w+|hpa|pod autoscal\w+",
    "accelerator_metrics": r"(?:gpu|accelerator) (?:metrics?|monitoring)",
    "ai_service_metrics": r"(?:ai |workload )?service metrics|workload metrics|metrics collection",
    "secure_accelerator_access": r"(?:secure )?(?:accelerator|gpu|device) (?:access|isolation)",
    "workload_sandboxing": r"(?:workload )?sandbox\w*",
    "robust_controller": r"(?:complex |ai )?operators?|robust controllers?",
}
REQUIREMENT_TERMS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {name: re.compile(rf"(?:{pattern}|{name.replace('_', ' ')})") for name, pattern in _TERMS.items()}
)

# Groups of requirements for which one page or one reason can be enough.
_FAMILIES = (
    {"accelerator_metrics", "ai_service_metrics", "pod_autoscaling"},
    {"cluster_autoscaling", "pod_autoscaling"},
    {
        "dra_support",
        "driver_runtime_management",
        "gpu_sharing",
        "virtualized_accelerator",
        "secure_accelerator_access",
        "high_performance_networking",
        "accelerator_metrics",
    },
    {"ai_inference", "advanced_inference_ingress", "disaggregated_inference"},
    {"gang_scheduling", "robust_controller", "disaggregated_inference"},
    {"secure_accelerator_access", "workload_sandboxing"},
)


def may_share_evidence(one: str, other: str) -> bool:
    """Whether two requirements are close enough to cite the same evidence."""
    return one == other or any(one in family and other in family for family in _FAMILIES)


def mentions(requirement: str, text: str) -> bool:
    """Whether a text has a distinctive word of a requirement."""
    keywords = KEYWORDS.get(requirement)
    return keywords is not None and bool(keywords.distinctive.search(normalized_words(text)))


def could_concern(requirement: str, text: str) -> bool:
    """Whether a text has any word that fits a requirement. True for a requirement without keywords."""
    keywords = KEYWORDS.get(requirement)
    return keywords is None or bool(keywords.associated.search(normalized_words(text)))


def unrelated_mentions(requirement: str, text: str) -> list[str]:
    """Unrelated requirements whose distinctive words a text has."""
    words = normalized_words(text)
    return [
        name
        for name, keywords in KEYWORDS.items()
        if not may_share_evidence(name, requirement) and keywords.distinctive.search(words)
    ]


def normalized_words(text: str) -> str:
    """The words of a text in lower case with single spaces; camelCase becomes separate words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.split(r"[^a-z0-9]+", apart.lower())).strip()
