"""The requirements of the CNCF Kubernetes AI Conformance programme by version, summarized in words of this project.

Source of ids, categories and levels: the templates `docs/AIConformance-X.Y.yaml` of cncf/k8s-ai-conformance. KAR is the
number of the programme's requirement document.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
MUST, SHOULD = "MUST", "SHOULD"
TENANTS = "tenants"
"""The profile of this project's own: what the programme does not ask for, and whoever shares a cluster does."""
_LEVELS = {"M": MUST, "S": SHOULD}


class Requirement(Struct, frozen=True, kw_only=True):
    """One requirement.

    `levels` has the versions that contain it; `condition` says when it applies, and is empty when it always does.
    """

    id: str
    category: str
    kar: str
    summary: str
    levels: Mapping[str, str]
    condition: str = ""


_OWN = Requirement(
    id="tenant_isolation",
    category="security",
    kar="",
    summary="no way leads from one tenant to another",
    levels=MappingProxyType({TENANTS: MUST}),
)


def _requirement(
    levels: str, name: str, category: str, kar: str, summary: str, condition: str = ""
) -> tuple[str, Requirement]:
    by_version = {version: _LEVELS[level] for version, level in zip(VERSIONS, levels, strict=True) if level in _LEVELS}
    found = Requirement(
        id=name, category=category, kar=kar, summary=summary, levels=MappingProxyType(by_version), condition=condition
    )
    return name, found


# Levels from 1.33 to 1.37: M is MUST, S is SHOULD, - is absent.
REQUIREMENTS: Mapping[str, Requirement] = MappingProxyType(
    dict(
        (
            _requirement("SMM--", "dra_support", "accelerators", "0051", "devices are claimed by attribute (DRA)"),
            _requirement(
                "--SSS",
                "driver_runtime_management",
                "accelerators",
                "0001",
                "driver and runtime of accelerator nodes can be verified",
            ),
            _requirement(
                "--SSS", "gpu_sharing", "accelerators", "0003", "an accelerator can be shared by a declared mode"
            ),
            _requirement(
                "--SSS",
                "virtualized_accelerator",
                "accelerators",
                "0004",
                "virtual accelerators are managed like real ones",
            ),
            _requirement(
                "MMMMM", "ai_inference", "networking", "", "the Gateway API splits by weight and routes by header"
            ),
            _requirement(
                "---SS", "advanced_inference_ingress", "networking", "0011", "requests are routed by model and load"
            ),
            _requirement(
                "---SS",
                "high_performance_networking",
                "networking",
                "0010",
                "fast networks are discovered and attached to pods",
                "workloads need such a network",
            ),
            _requirement(
                "---SS", "disaggregated_inference", "networking", "0041", "prefill and decode run in separate pods"
            ),
            _requirement(
                "MMMMM", "gang_scheduling", "schedulingOrchestration", "0053", "a gang starts whole or not at all"
            ),
            _requirement(
                "MMMMM",
                "cluster_autoscaling",
                "schedulingOrchestration",
                "0055",
                "waiting accelerator pods bring nodes, and their end takes them away",
                "the platform has a cluster autoscaler",
            ),
            _requirement(
                "MMMMM",
                "pod_autoscaling",
                "schedulingOrchestration",
                "0057",
                "pods with accelerators are scaled by custom metrics",
                "the platform supports the HorizontalPodAutoscaler",
            ),
            _requirement(
                "MMMMM",
                "accelerator_metrics",
                "observability",
                "0059",
                "every accelerator's use and memory are measured",
            ),
            _requirement(
                "MMMMM", "ai_service_metrics", "observability", "0061", "metrics that a workload declares are collected"
            ),
            _requirement(
                "MMMMM",
                "secure_accelerator_access",
                "security",
                "0049",
                "an accelerator is open to its holder and nobody else",
            ),
            _requirement("----S", "workload_sandboxing", "security", "0020", "a sandbox has a kernel of its own"),
            _requirement(
                "MMMMM", "robust_controller", "operator", "0063", "an AI operator refuses bad objects and heals"
            ),
            (_OWN.id, _OWN),
        )
    )
)


def profile(name: str) -> dict[str, str]:
    """The requirements of a profile such as `cncf-1.37` with their levels. Raises KeyError for an unknown profile."""
    version = name.removeprefix("cncf-")
    if name != TENANTS and (version not in VERSIONS or not name.startswith("cncf-")):
        raise KeyError(name)
    return {each.id: each.levels[version] for each in REQUIREMENTS.values() if version in each.levels}


PROFILES = (*(f"cncf-{version}" for version in VERSIONS), TENANTS)
