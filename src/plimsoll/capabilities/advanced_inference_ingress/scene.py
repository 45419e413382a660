"""The objects of the probe: two model servers whose metrics it controls, a pool of them, and its picker."""

from __future__ import annotations

from plimsoll.capabilities.pods import RESTRICTED
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.kubernetes.api import Manifest

GROUP = "inference.networking.k8s.io"
POOL_API = f"{GROUP}/v1"
POOL, PICKER, PICKER_PORT = "models", "picker", 9002
PICKER_IMAGE = "registry.k8s.io/gateway-api-inference-extension/epp:v1.2.0"
SERVING_PORT, _METRICS_PORT, _METRICS = 8000, 8080, "/tmp/metrics.txt"  # noqa: S108  # in a container of the probe
SAY = "/tmp/say"  # noqa: S108  # likewise
_LABELS = {"app": POOL}

# Metrics of vLLM, from which a picker reads a server's queue and its adapters. Source: the model server protocol
# (gateway-api-inference-extension, proposal 003). A picker ignores a gauge without a type.
_SAY = f"""cat > {_METRICS}.new << END
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{model_name="base"}} $2
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{model_name="base"}} 0
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{{max_lora="4",running_lora_adapters="$1",waiting_lora_adapters=""}} $(date +%s)
END
mv {_METRICS}.new {_METRICS}
"""
# Only the model of a request and the queues decide, so that the reason for each choice is known.
_CONFIGURATION = """apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: lora-affinity-scorer
- type: queue-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: lora-affinity-scorer
    weight: 4
  - pluginRef: queue-scorer
    weight: 1
  - pluginRef: max-score-picker
"""


def create_server(ns: ProbeNamespace, name: str) -> None:
    """Create a server that answers with its name; commands on its port change its metrics."""
    script = (
        f"printf '%s' '{_SAY}' > {SAY}; sh {SAY} '' 0; "
        f"/agnhost test-webserver --port={_METRICS_PORT} & "
        f"exec /agnhost netexec --http-port={SERVING_PORT} --udp-port=-1"
    )
    probe = {"httpGet": {"path": _METRICS, "port": _METRICS_PORT}, "periodSeconds": 1}
    ns.pod(name, script, labels={"app": POOL, "server": name}, container={"readinessProbe": probe})


def create_pool(ns: ProbeNamespace) -> None:
    """Create the pool, which fails closed, and a Service of the same servers."""
    spec = {
        "selector": {"matchLabels": _LABELS},
        "targetPorts": [{"number": SERVING_PORT}],
        "endpointPickerRef": {"name": PICKER, "port": {"number": PICKER_PORT}, "failureMode": "FailClose"},
    }
    ns.apply({"apiVersion": POOL_API, "kind": "InferencePool", "metadata": {"name": POOL}, "spec": spec})
    _service(ns, POOL, _LABELS, {"port": SERVING_PORT, "targetPort": SERVING_PORT})


def create_picker(ns: ProbeNamespace) -> None:
    """Create the Inference Extension's own picker, with the right to read the namespace's pods and pools."""
    rbac = "rbac.authorization.k8s.io"
    ns.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": PICKER}})
    rules = [
        {"apiGroups": groups, "resources": resources, "verbs": ["get", "list", "watch"]}
        for groups, resources in (
            ([""], ["pods"]),
            ([GROUP], ["inferencepools"]),
            (["inference.networking.x-k8s.io"], ["inferenceobjectives"]),
        )
    ]
    ns.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": PICKER}, "rules": rules})
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": PICKER},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": PICKER},
        "subjects": [{"kind": "ServiceAccount", "name": PICKER, "namespace": ns.name}],
    }
    ns.apply(binding)
    _service(ns, PICKER, {"app": PICKER}, {"port": PICKER_PORT, "targetPort": PICKER_PORT, "appProtocol": "http2"})
    ns.apply(_picker_pod(ns))


def _picker_pod(ns: ProbeNamespace) -> Manifest:
    arguments = {
        "pool-name": POOL,
        "pool-namespace": ns.name,
        "config-text": _CONFIGURATION,
        "model-server-metrics-port": _METRICS_PORT,
        "model-server-metrics-path": _METRICS,
        "metrics-endpoint-auth": "false",
        "tracing": "false",
    }
    container = {
        "name": "main",
        "image": ns.settings.image(PICKER_IMAGE),
        "args": [f"--{name}={value}" for name, value in arguments.items()],
        "securityContext": RESTRICTED,
        "readinessProbe": {"grpc": {"port": 9003, "service": "inference-extension"}, "periodSeconds": 1},
    }
    spec = {"serviceAccountName": PICKER, "containers": [container], "terminationGracePeriodSeconds": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": PICKER, "labels": {"app": PICKER}},
        "spec": spec,
    }


def _service(ns: ProbeNamespace, name: str, selector: dict[str, str], port: Manifest) -> None:
    spec = {"selector": selector, "ports": [{"name": "main", **port}]}
    ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
