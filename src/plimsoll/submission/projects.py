"""Whose pages are whose: vendors' documentation, projects' documentation, and accounts that anybody may cite."""

from __future__ import annotations

# Documentation of vendors, with what their own names have in them.
VENDORS = {
    "cloud.google.com": "google",
    "docs.cloud.google.com": "google",
    "docs.aws.amazon.com": "amazon",
    "aws.amazon.com": "amazon",
    "learn.microsoft.com": "microsoft",
    "docs.nvidia.com": "nvidia",
    "docs.redhat.com": "red hat",
    "docs.openshift.com": "red hat",
}
# Documentation of the projects that requirements are met by.
UPSTREAM = frozenset(
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
# Their accounts on code hosts: what they say is true anywhere, and of no platform in particular.
PROJECTS = frozenset(
    {"kubernetes", "kubernetes-sigs", "kubeflow", "ray-project", "volcano-sh", "kedacore", "prometheus", "istio"}
)
# Further accounts that evidence may well lead to.
ACCOUNTS = PROJECTS | frozenset(
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
# Words of a vendor's or product's name that tell nobody apart.
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
