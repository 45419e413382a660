"""Owners of documentation sites and of code host accounts: vendors and open-source projects."""

from __future__ import annotations

# Vendors' documentation sites, by host, with a word of the vendor's name.
VENDOR_SITES = {
    "cloud.google.com": "google",
    "docs.cloud.google.com": "google",
    "docs.aws.amazon.com": "amazon",
    "aws.amazon.com": "amazon",
    "learn.microsoft.com": "microsoft",
    "docs.nvidia.com": "nvidia",
    "docs.redhat.com": "red hat",
    "docs.openshift.com": "red hat",
}
# Documentation sites of the projects that meet requirements.
PROJECT_SITES = frozenset(
    {
        "kubernetes.io",
        "gateway-api.sigs.k8s.io",
        "gateway-api-inference-extension.sigs.k8s.io",
        "kueue.sigs.k8s.io",
        "jobset.sigs.k8s.io",
        "volcano.sh",
        "karpenter.sh",
        "keda.sh",
        "prometheus.io",
        "docs.ray.io",
        "kubeflow.org",
        "istio.io",
        "gvisor.dev",
        "katacontainers.io",
        "wikipedia.org",
    }
)
# Accounts of these projects on code hosts. Their pages describe the project and no particular platform.
PROJECT_ACCOUNTS = frozenset(
    {"kubernetes", "kubernetes-sigs", "kubeflow", "ray-project", "volcano-sh", "kedacore", "prometheus", "istio"}
)
# All accounts that evidence may link to without a question.
KNOWN_ACCOUNTS = PROJECT_ACCOUNTS | frozenset(
    {
        "ai-dynamo",
        "alibaba",
        "amd",
        "apache",
        "argoproj",
        "aws",
        "aws-samples",
        "awslabs",
        "azure",
        "canonical",
        "carlory",
        "cilium",
        "cncf",
        "containerd",
        "envoyproxy",
        "google",
        "googlecloudplatform",
        "gpustack",
        "grafana",
        "helm",
        "higress-group",
        "huggingface",
        "intel",
        "k8snetworkplumbingwg",
        "kai-scheduler",
        "karpenter",
        "kata-containers",
        "kgateway-dev",
        "knative",
        "kong",
        "koordinator-sh",
        "kserve",
        "kubernetes-client",
        "kubernetes-csi",
        "kubevirt",
        "llm-d",
        "mellanox",
        "microsoft",
        "mlflow",
        "modelpack",
        "nginx",
        "nvidia",
        "nvidia-ai-blueprints",
        "open-telemetry",
        "opencontainers",
        "opendatahub-io",
        "openshift",
        "project-hami",
        "projectcalico",
        "prometheus-adapter",
        "prometheus-community",
        "prometheus-operator",
        "rancher",
        "red-hat-storage",
        "redhat-developer",
        "rocm",
        "run-ai",
        "sgl-project",
        "traefik",
        "vllm-project",
    }
)
# Words in vendor and product names that do not identify anyone.
COMMON_WORDS = frozenset(
    {
        "kubernetes",
        "cloud",
        "platform",
        "engine",
        "service",
        "container",
        "docs",
        "www",
        "com",
        "inc",
        "ltd",
        "gmbh",
        "the",
    }
)
