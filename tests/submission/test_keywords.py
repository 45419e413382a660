"""The words of a URL show its topic; only a page that is clearly about something else is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from .questionnaires import complete_questionnaire, lint_document, with_answer

FITTING_PAGES = {
    "dra_support": ["docs.a.io/gpu/dynamic-resource-allocation", "docs.a.io/kubernetes/1.36/release-notes#api", "a.io/blog/dra-ga"],
    "driver_runtime_management": ["docs.a.io/gpu-operator/upgrade", "docs.a.io/nodes/nvidia-container-toolkit"],
    "gpu_sharing": ["docs.a.io/gpu/mig", "docs.a.io/workloads/fractional", "a.io/docs/hami"],
    "virtualized_accelerator": ["docs.a.io/vgpu", "docs.a.io/vmware/nvidia-grid"],
    "ai_inference": ["docs.a.io/ingress/traefik", "docs.a.io/service-mesh", "docs.a.io/llm-serving", "docs.a.io/gateway-with-inference-extension", "docs.a.io/networking/nginx-gateway-fabric"],
    "advanced_inference_ingress": ["docs.a.io/ai-gateway", "docs.a.io/vllm/routing", "docs.a.io/llm-d"],
    "high_performance_networking": ["docs.a.io/nccl", "docs.a.io/multus", "docs.a.io/networking/sr-iov", "docs.a.io/dra-net"],
    "disaggregated_inference": ["docs.a.io/dynamo", "docs.a.io/llm-d", "docs.a.io/serving/leaderworkerset"],
    "gang_scheduling": ["docs.a.io/batch", "docs.a.io/ray-on-kueue", "docs.a.io/kubeflow/mpi-operator", "docs.a.io/run-ai", "docs.a.io/slurm-slinky"],
    "cluster_autoscaling": ["docs.a.io/karpenter", "docs.a.io/machine-management/applying-autoscaling", "docs.a.io/node-pools", "docs.a.io/cluster-api", "docs.a.io/gpu-workers"],
    "pod_autoscaling": ["docs.a.io/keda", "docs.a.io/custom-metrics", "docs.a.io/monitoring/prometheus-adapter", "docs.a.io/dcgm-hpa"],
    "accelerator_metrics": ["docs.a.io/dcgm-exporter", "docs.a.io/observability", "docs.a.io/prometheus", "docs.a.io/gpu-operator"],
    "ai_service_metrics": ["docs.a.io/user-workload-monitoring", "docs.a.io/managed-prometheus", "docs.a.io/opentelemetry", "docs.a.io/dcgm"],
    "secure_accelerator_access": ["docs.a.io/device-plugin", "docs.a.io/gpu-operator", "docs.a.io/dra", "docs.a.io/multi-tenancy/isolation", "docs.a.io/kata-gpu"],
    "workload_sandboxing": ["docs.a.io/gvisor", "docs.a.io/runtime-class", "docs.a.io/confidential-containers"],
    "robust_controller": ["docs.a.io/kuberay", "docs.a.io/kserve", "docs.a.io/volcano", "docs.a.io/notebooks", "docs.a.io/spark-operator", "docs.a.io/kueue"],
}  # fmt: skip
NEUTRAL_PAGES = [
    "docs.a.io/12345",
    "docs.a.io/ai/overview",
    "a.io/blog/2026/kubernetes-ai-conformance",
    "kata.io/docs/3",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTING_PAGES)
def test_a_page_that_fits_the_requirement_is_not_reported(tmp_path: Path, name: str) -> None:
    for page in FITTING_PAGES[name] + NEUTRAL_PAGES:
        version = "1.35" if name == "dra_support" else "1.37"
        document = with_answer(
            complete_questionnaire(version), name, status="Implemented", evidence=[f"https://{page}"], notes="Shown."
        )
        found = lint_document(tmp_path, document, version)
        assert [each for each in found if each.rule in ("evidence-off-topic", "evidence-reused")] == [], page


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("gang_scheduling", "docs.a.io/gateway-api"),
        ("ai_inference", "docs.a.io/kueue"),
        ("ai_inference", "docs.a.io/gpu-metrics"),
        ("cluster_autoscaling", "docs.a.io/kuberay"),
        ("robust_controller", "docs.a.io/dcgm-exporter"),
        ("secure_accelerator_access", "docs.a.io/horizontal-pod-autoscaler"),
        ("accelerator_metrics", "docs.a.io/gang-scheduling-with-volcano"),
        ("ai_service_metrics", "docs.a.io/storage/volumes"),
        ("pod_autoscaling", "a.io/pricing"),
        ("gang_scheduling", "docs.a.io/kata-containers"),
    ],
)
def test_a_page_about_another_requirement_is_reported(tmp_path: Path, name: str, page: str) -> None:
    document = with_answer(
        complete_questionnaire("1.37"), name, evidence=[f"https://{page}"], notes="Shown by the page."
    )
    assert "evidence-off-topic" in {each.rule for each in lint_document(tmp_path, document, "1.37")}


def test_a_page_that_the_notes_explain_is_not_reported(tmp_path: Path) -> None:
    page = "https://docs.a.io/gateway-api"
    document = with_answer(
        complete_questionnaire(),
        "gang_scheduling",
        evidence=[page],
        notes="The Gateway API page shows both jobs start.",
    )
    assert "evidence-off-topic" not in {each.rule for each in lint_document(tmp_path, document)}
