"""Templates and questionnaires in the official structure, with descriptions of our own, and functions to change them."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from plimsoll.capabilities.requirements import REQUIREMENTS, profile
from plimsoll.submission.finding import LintFinding
from plimsoll.submission.linter import lint_file
from plimsoll.submission.version_requirements import VersionRequirements, template_requirements

# Tests put a value of any type at any place of a document, so its type is open.
Document = dict[str, Any]
DOCS = "https://docs.acme.cloud/ai"
# Valid answers: pages with fragments, notes of several lines, stated limits, one page for two related requirements.
ANSWERS: dict[str, tuple[list[str], str]] = {
    "dra_support": ([f"{DOCS}/dra"], "DRA is GA in this version and served by default: `kubectl api-resources` lists it."),
    "driver_runtime_management": ([f"{DOCS}/gpu-operator#versions"], "The GPU operator reports driver versions per node."),
    "gpu_sharing": ([f"{DOCS}/gpu-operator#mig"], "MIG and time slicing; MIG is not applicable to L4 GPUs."),
    "virtualized_accelerator": ([], ""),
    "ai_inference": (
        [f"{DOCS}/gateway", "https://github.com/acme/evidence/blob/v1.0/gateway.md"],
        "Envoy Gateway is offered as an add-on. Weighted splitting and header routing were tested.\n"
        "The service mesh integration is optional and not enabled by default.",
    ),
    "advanced_inference_ingress": ([f"{DOCS}/gateway#inference-extension"], "InferencePool with an endpoint picker."),
    "high_performance_networking": ([f"{DOCS}/rdma"], "RDMA by the network operator, on nodes that have it."),
    "disaggregated_inference": ([], ""),
    "gang_scheduling": (
        [f"{DOCS}/batch/kueue", "evidence/gang.md"],
        "Kueue is not installed by default but can be installed from the catalog.\n"
        "- two jobs, room for one: the second one had no pod\n- room made: all of its pods ran",
    ),
    "cluster_autoscaling": (
        [f"{DOCS}/autoscaling#nodes"],
        "Karpenter adds A100 nodes for pending pods. Nodes that are not used are removed after ten minutes.",
    ),
    "pod_autoscaling": ([f"{DOCS}/autoscaling#pods"], "The HPA scales vLLM by queue depth through prometheus-adapter."),
    "accelerator_metrics": ([f"{DOCS}/monitoring"], "DCGM exporter; NVLink counters are not available on T4."),
    "ai_service_metrics": ([f"{DOCS}/monitoring"], "Managed Prometheus discovers ServiceMonitors of workloads."),
    "secure_accelerator_access": (
        [f"{DOCS}/gpu-isolation", "./evidence/isolation.md#results"],
        "Pods without a GPU request do not see any /dev/nvidia* device. Two pods see different UUIDs.",
    ),
    "workload_sandboxing": ([f"{DOCS}/kata"], "Kata containers by RuntimeClass."),
    "robust_controller": ([f"{DOCS}/kuberay"], "KubeRay: an invalid RayCluster is rejected by its webhook, not created."),
}  # fmt: skip


def description(name: str) -> str:
    return f"Words of our own: {REQUIREMENTS[name].summary}, {name.replace('_', ' ')} and what belongs to it."


def template(version: str) -> str:
    """A template in the official structure: comments, placeholders, empty answers.

    Only that of 1.35 has k8sConformanceUrl.
    """
    lines = ["# A checklist", "#   evidence:", '#     - "file://results/junit.xml#TestX"', "", "metadata:"]
    lines += [f"  kubernetesVersion: v{version}"]
    for field in ("platformName", "platformVersion", "vendorName", "websiteUrl", "repoUrl", "documentationUrl"):
        lines.append(f'  {field}: "[{field}]"')
    lines += ['  productLogoUrl: "[Logo]"', '  description: "[Description]"', '  contactEmailAddress: "[Contact]"']
    if version == "1.35":
        lines.append('  k8sConformanceUrl: "[URL, e.g., https://github.com/cncf/k8s-conformance/tree/master/v1.35/x]"')
    lines += ["", "spec:"]
    category = ""
    for name, level in profile(f"cncf-{version}").items():
        if REQUIREMENTS[name].category != category:
            category = REQUIREMENTS[name].category
            lines.append(f"  {category}:")
        lines += [f"    - id: {name}", f'      description: "{description(name)}"', f"      level: {level}"]
        lines += ['      status: ""   # one of four', "      evidence: [] # links", '      notes: ""    # why']
    return "\n".join(lines) + "\n"


def complete_questionnaire(version: str = "1.36", keys: Callable[[str], str] = str) -> Document:
    """A valid questionnaire; `keys` spells the metadata's keys."""
    metadata = {
        "kubernetesVersion": f"v{version}",
        "platformName": "Acme Cloud",
        "platformVersion": "2.4",
        "vendorName": "Acme Inc.",
        "websiteUrl": "https://www.acme.cloud/",
        "documentationUrl": "https://docs.acme.cloud",
        "productLogoUrl": "https://www.acme.cloud/logo.SVG",
        "description": "Kubernetes for everybody.",
        "contactEmailAddress": "kubernetes@acme.cloud",
        "k8sConformanceUrl": f"https://github.com/cncf/k8s-conformance/tree/master/v{version}/acme",
        "anExtraField": 3,
    }
    spec: dict[str, list[Document]] = {}
    for name, level in profile(f"cncf-{version}").items():
        evidence, notes = ANSWERS[name]
        answer: Document = {"id": name, "description": description(name), "level": level}
        answer |= {"status": "Implemented" if evidence else "", "evidence": list(evidence), "notes": notes}
        spec.setdefault(REQUIREMENTS[name].category, []).append(answer)
    return {"metadata": {keys(key): value for key, value in metadata.items()}, "spec": spec}


def answer(document: Document, name: str) -> Document:
    """The answer to one requirement."""
    return next(each for items in document["spec"].values() for each in items if each["id"] == name)


def with_answer(document: Document, name: str, **fields: object) -> Document:
    """A copy in which fields of one answer are changed."""
    copied = copy.deepcopy(document)
    answer(copied, name).update(fields)
    return copied


def with_metadata(document: Document, **fields: object) -> Document:
    """A copy in which metadata fields are changed; None removes a field."""
    copied = copy.deepcopy(document)
    copied["metadata"].update(fields)
    copied["metadata"] = {key: value for key, value in copied["metadata"].items() if value is not None}
    return copied


def as_yaml(document: Document) -> str:
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100)


def save_questionnaire(folder: Path, text: str | Document, version: str = "1.36", product: str = "acme") -> Path:
    """Write a questionnaire to vX.Y/PRODUCT, with the files that it cites."""
    directory = folder / f"v{version}" / product
    (directory / "evidence").mkdir(parents=True, exist_ok=True)
    for name in ("gang.md", "isolation.md"):
        (directory / "evidence" / name).write_text("# what was seen\n")
    path = directory / "PRODUCT.yaml"
    path.write_text(text if isinstance(text, str) else as_yaml(text))
    return path


@functools.cache
def requirements_of(version: str = "1.36") -> VersionRequirements:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"AIConformance-{version}.yaml"
        path.write_text(template(version))
        return template_requirements(path)


def lint_document(
    folder: Path, document: str | Document, version: str = "1.36", product: str = "acme"
) -> list[LintFinding]:
    """Save a questionnaire and lint it with its template."""
    return lint_file(save_questionnaire(folder, document, version, product), [requirements_of(version)])
