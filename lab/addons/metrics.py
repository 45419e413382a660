"""The add-ons for resource metrics, Prometheus and custom metrics."""

from __future__ import annotations

from lab import api
from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.archive import Image
from lab.images.names import built_image_name
from lab.kubectl import get, wait, wait_for_rollout

NAMESPACE = "monitoring"
_NOBODY = "65534:65534"


def metrics_server() -> AddonContent:
    """metrics-server, configured to check the kubelets' certificates against the cluster's authority."""
    image = _image("metrics-server", "metrics-server")
    manifests = upstream.with_image(upstream.render_kustomization("metrics-server", "manifests/base"), image.names[0])
    spec = upstream.find(manifests, "Deployment", "metrics-server")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    container["args"] = [each for each in container["args"] if not each.startswith("--metric-resolution")]
    container["args"] += [
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
        "--kubelet-certificate-authority=/cluster/ca.crt",
    ]
    upstream.with_fast_readiness(manifests)
    container["volumeMounts"].append({"name": "cluster", "mountPath": "/cluster", "readOnly": True})
    spec["volumes"].append({"name": "cluster", "configMap": {"name": "kube-root-ca.crt"}})
    return AddonContent(
        [image],
        [manifests],
        [("kube-system", "deployment/metrics-server")],
        lambda: _wait_for_api("metrics.k8s.io/v1beta1/nodes", "the resource metrics"),
    )


def prometheus() -> AddonContent:
    """The operator, and a Prometheus that uses every ServiceMonitor, PodMonitor and scrape annotation."""
    operator = _image("prometheus-operator", "prometheus-operator")
    reloader = _image("prometheus-operator", "prometheus-config-reloader")
    server = _image("prometheus", "prometheus", tag=_prometheus_version())
    bundle = upstream.read_files("prometheus-operator", "bundle.yaml")
    for each in bundle:
        _into_namespace(each)
    deployment = upstream.find(bundle, "Deployment", "prometheus-operator")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["image"] = operator.names[0]
    container["args"] = [each for each in container["args"] if "config-reloader" not in each]
    container["args"].append(f"--prometheus-config-reloader={reloader.names[0]}")
    definitions = [each for each in bundle if each["kind"] == "CustomResourceDefinition"]
    rest = [each for each in bundle if each["kind"] != "CustomResourceDefinition"]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return AddonContent(
        [operator, reloader, server],
        [[namespace, *definitions], rest, _prometheus_manifests(server.names[0])],
        [(NAMESPACE, "deployment/prometheus-operator")],
        _wait_for_prometheus,
    )


def _into_namespace(each: upstream.Manifest) -> None:
    if each["metadata"].get("namespace"):
        each["metadata"]["namespace"] = NAMESPACE
    for subject in each.get("subjects", ()):
        subject["namespace"] = NAMESPACE


def _prometheus_manifests(image: str) -> list[upstream.Manifest]:
    account = {"name": "prometheus", "namespace": NAMESPACE}
    rules = [
        {
            "apiGroups": ["", "discovery.k8s.io"],
            "resources": ["nodes", "services", "endpoints", "pods", "endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"}
    everywhere: dict[str, object] = {}
    spec = {
        "image": image,
        "version": _prometheus_version(),
        "replicas": 1,
        "retention": "2h",
        "scrapeInterval": "5s",
        "evaluationInterval": "5s",
        "serviceAccountName": "prometheus",
        "securityContext": {"runAsUser": 65534, "runAsNonRoot": True, "fsGroup": 65534},
        "resources": {"requests": {"memory": "100Mi"}},
        **{f"{kind}Selector": everywhere for kind in ("serviceMonitor", "podMonitor", "rule", "scrapeConfig")},
        **{f"{kind}NamespaceSelector": everywhere for kind in ("serviceMonitor", "podMonitor", "rule", "scrapeConfig")},
        "additionalScrapeConfigs": {"name": "annotated-pods", "key": "scrape.yaml"},
        "containers": [{"name": "config-reloader", "args": list(_RELOADER)}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "prometheus"},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prometheus"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "annotated-pods", "namespace": NAMESPACE},
            "stringData": {"scrape.yaml": _ANNOTATED_PODS},
        },
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": "lab", "namespace": NAMESPACE},
            "spec": spec,
        },
    ]


# The operator's own arguments plus an interval. Its reloader watches a file that the kubelet replaces. So it sees only
# the first change, and then looks every three minutes (prometheus-operator/prometheus-operator#7366).
_RELOADER = (
    "--listen-address=:8080",
    "--reload-url=http://localhost:9090/-/reload",
    "--config-file=/etc/prometheus/config/prometheus.yaml.gz",
    "--config-envsubst-file=/etc/prometheus/config_out/prometheus.env.yaml",
    "--watched-dir=/etc/prometheus/rules/prometheus-lab-rulefiles-0",
    "--watch-interval=3s",
)


# The old convention, which many workloads still use: pods ask to be scraped by an annotation.
_ANNOTATED_PODS = """\
- job_name: annotated-pods
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
    - {source_labels: [__meta_kubernetes_pod_phase], action: keep, regex: Running}
    - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
      regex: (.+);(\\d+)
      target_label: __address__
      replacement: $1:$2
    - source_labels: [__address__]
      action: keep
      regex: .+:\\d+
    - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
      regex: (.+)
      target_label: __metrics_path__
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""


def _wait_for_prometheus() -> None:
    def missing() -> str | None:
        get("statefulset", "prometheus-lab", namespace=NAMESPACE)
        return None

    wait("the operator to create Prometheus", missing, 60)
    wait_for_rollout(NAMESPACE, "statefulset/prometheus-lab")


def custom_metrics() -> AddonContent:
    """prometheus-adapter. Every series with a namespace and a pod becomes a custom metric of that pod."""
    image = _image("prometheus-adapter", "prometheus-adapter")
    manifests = upstream.read_files("prometheus-adapter", "deploy/manifests/*.yaml")
    # metrics-server serves resource metrics. The policy would admit only an ingress that the lab does not have.
    unwanted = {("APIService", "v1beta1.metrics.k8s.io"), ("NetworkPolicy", "prometheus-adapter")}
    manifests = [each for each in manifests if (each["kind"], each["metadata"]["name"]) not in unwanted]
    upstream.with_image(manifests, image.names[0])
    upstream.find(manifests, "ConfigMap", "adapter-config")["data"]["config.yaml"] = _ADAPTER_RULES
    deployment = upstream.find(manifests, "Deployment", "prometheus-adapter")["spec"]
    deployment["replicas"] = 1
    container = deployment["template"]["spec"]["containers"][0]
    changed = {
        "--prometheus-url": f"http://prometheus-operated.{NAMESPACE}.svc:9090/",
        "--metrics-relist-interval": "5s",
    }
    kept = [each for each in container["args"] if each.split("=")[0] not in changed]
    container["args"] = kept + [f"{name}={value}" for name, value in changed.items()]
    for probe in ("readinessProbe", "livenessProbe"):
        container[probe] |= {"initialDelaySeconds": 2, "periodSeconds": 2}
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
        "spec": {
            "group": "custom.metrics.k8s.io",
            "version": "v1beta2",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "prometheus-adapter", "namespace": NAMESPACE},
        },
    }
    return AddonContent(
        [image],
        [[*manifests, service]],
        [(NAMESPACE, "deployment/prometheus-adapter")],
        lambda: _wait_for_api("custom.metrics.k8s.io/v1beta2", "the custom metrics"),
    )


_ADAPTER_RULES = """\
rules:
  - seriesQuery: '{namespace!="",pod!=""}'
    resources: {template: <<.Resource>>}
    metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
  - seriesQuery: '{namespace!=""}'
    resources: {template: <<.Resource>>}
    metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"""


def _wait_for_api(path: str, what: str) -> None:
    def missing() -> str | None:
        api.request("GET", f"/apis/{path}")
        return None

    wait(f"{what} to be served", missing, 60)


def _prometheus_version() -> str:
    """The release version: release v3.5.0 is module v0.305.0, as Go requires another path for a module of version 3."""
    _, minor, patch = BY_NAME["prometheus"].version.split(".")
    return f"v{int(minor) // 100}.{int(minor) % 100}.{patch}"


def _image(component: str, program: str, tag: str | None = None) -> Image:
    built = folder_of(BY_NAME[component])
    name = built_image_name(program, BY_NAME[component], tag)
    return Image((name,), {f"bin/{program}": built / program}, entrypoint=(f"/bin/{program}",), user=_NOBODY)
