"""Which names clusters take, by the kind that carries them: one table, with what is derived of each. Pure.

An API server checks an object's own name. Controllers make further names of it, for pods, host names and Services, and
what is too long then fails later and elsewhere, or is never told. So the limit of a kind is that of its longest
derived name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from plimsoll.kubernetes.api import Manifest

LABEL, LABEL_1035, SUBDOMAIN = "label", "label1035", "subdomain"
_WORDS = {
    LABEL: "small letters, digits and '-', a letter or digit first and last",
    LABEL_1035: "small letters, digits and '-', a letter first, a letter or digit last",
    SUBDOMAIN: "small letters, digits, '-' and '.', a letter or digit first and last",
}
_PATTERNS = {
    LABEL: re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"),
    LABEL_1035: re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"),
    SUBDOMAIN: re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"),
}
_LONGEST = {LABEL: 63, LABEL_1035: 63, SUBDOMAIN: 253}
_RANDOM = "-xxxxx"
"""What is added to the name of a pod that a controller makes."""


class Naming(Struct, frozen=True, kw_only=True):
    """The rule for the names of one kind. `derived` gives the longest name that is made of an object, with what it is
    for; it may be no longer than a label."""

    grammar: str
    derived: Callable[[Manifest, str], tuple[str, str]] | None = None
    longest: int = 0


def _of_job(manifest: Manifest, _: str) -> tuple[str, str]:
    last = max(0, int(manifest["spec"].get("completions", 1)) - 1)
    return f"{manifest['metadata']['name']}-{last}{_RANDOM}", "its last pod"


def _of_job_set(manifest: Manifest, _: str) -> tuple[str, str]:
    jobs = manifest["spec"]["replicatedJobs"]
    names = [
        f"{manifest['metadata']['name']}-{each['name']}-{each['replicas'] - 1}"
        f"-{each['template']['spec']['completions'] - 1}{_RANDOM}"
        for each in jobs
    ]
    return max(names, key=len), "its last pod"


def _of_train_job(manifest: Manifest, _: str) -> tuple[str, str]:
    nodes = int(manifest["spec"].get("trainer", {}).get("numNodes", 1))
    return f"{manifest['metadata']['name']}-node-0-{nodes - 1}{_RANDOM}", "its last pod"


def _of_inference_service(manifest: Manifest, namespace: str) -> tuple[str, str]:
    return f"{manifest['metadata']['name']}-predictor-{namespace}", "its host name"


def _of_llm_inference_service(manifest: Manifest, _: str) -> tuple[str, str]:
    # Of longer ones KServe takes a digest in place of the end.
    end = "-prefill" if "prefill" in manifest["spec"] else ""
    return f"{manifest['metadata']['name']}-kserve{end}", "its Deployment"


def _of_gateway(manifest: Manifest, _: str) -> tuple[str, str]:
    # As GEP-1762 has it for gateways that are deployed when they are asked for.
    return f"{manifest['metadata']['name']}-{manifest['spec']['gatewayClassName']}", "the Service of its proxies"


def _of_scaled_object(manifest: Manifest, _: str) -> tuple[str, str]:
    return f"keda-hpa-{manifest['metadata']['name']}", "its HorizontalPodAutoscaler"


NAMING: Mapping[str, Naming] = MappingProxyType(
    {
        "Namespace": Naming(grammar=LABEL),
        # Kubernetes takes a leading digit from 1.34 on, where a feature gate says so; nobody can count on that.
        "Service": Naming(grammar=LABEL_1035),
        "Job": Naming(grammar=LABEL, derived=_of_job),
        "JobSet": Naming(grammar=LABEL_1035, derived=_of_job_set),
        "TrainJob": Naming(grammar=LABEL_1035, derived=_of_train_job),
        "TrainingRuntime": Naming(grammar=LABEL_1035),
        "RayJob": Naming(grammar=LABEL_1035, longest=47),
        "PodGroup": Naming(grammar=SUBDOMAIN),
        "InferenceService": Naming(grammar=LABEL_1035, derived=_of_inference_service),
        "LLMInferenceService": Naming(grammar=LABEL_1035, derived=_of_llm_inference_service),
        # A label of every pod has the names of these.
        "Deployment": Naming(grammar=LABEL, longest=63),
        "Gateway": Naming(grammar=LABEL_1035, derived=_of_gateway),
        "HTTPRoute": Naming(grammar=LABEL, longest=63),
        "ScaledObject": Naming(grammar=LABEL, derived=_of_scaled_object),
        "HorizontalPodAutoscaler": Naming(grammar=LABEL, longest=63),
    }
)
"""Rules of kinds that are not named here are those of a subdomain."""


def naming_problem(manifest: Manifest, namespace: str) -> str:
    """Why no cluster would take an object's name, or what is made of it; empty for a good one."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    rule = NAMING.get(kind, Naming(grammar=SUBDOMAIN))
    longest = rule.longest or _LONGEST[rule.grammar]
    if problem := word_problem(name, rule.grammar, longest):
        return f"the {kind} would be named '{name}': {problem}"
    if rule.derived is None:
        return ""
    derived, what = rule.derived(manifest, namespace)
    if len(derived) <= _LONGEST[LABEL]:
        return ""
    return (
        f"the {kind} '{name}' would give {what} a name of {len(derived)} characters, '{derived}'; "
        f"clusters take {_LONGEST[LABEL]}"
    )


def word_problem(name: str, grammar: str, longest: int = 0) -> str:
    """Why a name breaks a rule; empty for a good one."""
    most = longest or _LONGEST[grammar]
    if len(name) > most:
        return f"it has {len(name)} characters, {most} are allowed"
    return "" if _PATTERNS[grammar].fullmatch(name) else f"it takes {_WORDS[grammar]}"
