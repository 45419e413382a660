"""KServe: models as Kubernetes objects, served by plain Deployments."""

from __future__ import annotations

import base64
import hashlib
import json

from lab.addons import gateway, upstream
from lab.addons.catalogue import AddonContent
from lab.addons.webhooks import wait_for_answer
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.images.archive import Image
from lab.images.names import built_image_name

NAMESPACE = "kserve"
# Clients send a name in this domain in their Host header. Nothing resolves it.
DOMAIN = "kserve.lab.plimsoll.dev"
_MANAGER = "kserve-controller-manager"
_WEBHOOK_SERVICE = "kserve-webhook-server-service"
_WEBHOOK_SECRET = "kserve-webhook-server-cert"
_CERTIFICATE_GROUP = "cert-manager.io"
# Upstream's default configuration contains four programs. The lab installs the first. The others keep models on nodes
# and serve language models in parts. Their objects are left out, as nothing would handle them.
_OTHER_PROGRAMS = (
    "localmodel",
    "llmisvc",
    "llminferenceservice",
    "inferencepools",
    "inferencemodels",
    "kserve-config-llm",
)
# Upstream's sidecar in front of the manager's metrics. The lab does not build its image.
_SIDECAR = "kube-rbac-proxy"
_SIDECAR_OBJECTS = (
    "kserve-proxy-role",
    "kserve-proxy-rolebinding",
    f"{_MANAGER}-metrics-service",
    f"{_MANAGER}-service",
)
_EMPTY_INFERENCE_SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "nobody", "namespace": "default"},
    "spec": {"predictor": {}},
}


def kserve(used: frozenset[str] = frozenset()) -> AddonContent:
    """KServe's manager from upstream's default configuration, without Knative, Istio and cert-manager.

    `used` are the installed optional add-ons. With `gateway` a Gateway exposes the services; else they are reachable
    only inside the cluster.
    """
    component = BY_NAME["kserve"]
    binary = folder_of(component) / "kserve"
    image = Image(
        (built_image_name("kserve", component),), {"manager": binary}, entrypoint=("/manager",), user="65532:65532"
    )
    manifests = [
        each for each in upstream.render_kustomization("kserve", "config/default") if _belongs_to_manager(each)
    ]
    upstream.with_image(manifests, image.names[0])
    _configure(manifests, exposed="gateway" in used)
    _add_certificate(manifests)
    definitions = [each for each in manifests if each["kind"] in ("CustomResourceDefinition", "Namespace")]
    rest = [each for each in manifests if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    ways = [_gateway()] if "gateway" in used else []
    return AddonContent(
        [image],
        [definitions, [*rest, *ways]],
        [(NAMESPACE, f"deployment/{_MANAGER}")],
        _wait_for_webhook,
    )


def _wait_for_webhook() -> None:
    wait_for_answer("kserve", _EMPTY_INFERENCE_SERVICE)


def _belongs_to_manager(each: upstream.Manifest) -> bool:
    name = each["metadata"]["name"]
    if each["apiVersion"].startswith(_CERTIFICATE_GROUP) or name in _SIDECAR_OBJECTS:
        return False
    return not any(other in name for other in _OTHER_PROGRAMS)


def _configure(manifests: list[upstream.Manifest], exposed: bool) -> None:
    settings = upstream.find(manifests, "ConfigMap", "inferenceservice-config")["data"]
    _merge_setting(settings, "deploy", {"defaultDeploymentMode": "Standard"})
    ways = {"enableGatewayApi": True, "kserveIngressGateway": f"{NAMESPACE}/{_gateway()['metadata']['name']}"}
    _merge_setting(
        settings,
        "ingress",
        {
            "disableIstioVirtualHost": True,
            "ingressDomain": DOMAIN,
            **(ways if exposed else {"disableIngressCreation": True}),
        },
    )
    resources = json.loads(settings["inferenceService"])["resource"]
    _merge_setting(
        settings, "inferenceService", {"resource": resources | {"cpuRequest": "10m", "memoryRequest": "64Mi"}}
    )

    template = upstream.find(manifests, "Deployment", _MANAGER)["spec"]["template"]
    template["spec"]["containers"] = [each for each in template["spec"]["containers"] if each["name"] != _SIDECAR]
    (container,) = template["spec"]["containers"]
    container.pop("resources")
    upstream.with_fast_readiness(manifests)
    # The manager reads its settings only at its start, so a change must restart it.
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    template["metadata"]["annotations"]["plimsoll.dev/settings"] = digest


def _merge_setting(settings: dict[str, str], key: str, values: upstream.Manifest) -> None:
    settings[key] = json.dumps(json.loads(settings[key]) | values)


def _add_certificate(manifests: list[upstream.Manifest]) -> None:
    """Gives the webhooks a certificate from the cluster's authority. It exists before the pod that uses it starts."""
    identity = identities.service_identity(
        "kserve-webhook", f"{_WEBHOOK_SERVICE}.{NAMESPACE}.svc", f"{_WEBHOOK_SERVICE}.{NAMESPACE}"
    )
    authority = base64.b64encode(identities.load().cluster.certificate.read_bytes()).decode()
    for each in manifests:
        for hook in each.get("webhooks", ()):
            hook["clientConfig"]["caBundle"] = authority
        each["metadata"].get("annotations", {}).pop(f"{_CERTIFICATE_GROUP}/inject-ca-from", None)
    manifests.append(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": _WEBHOOK_SECRET, "namespace": NAMESPACE},
            "stringData": {"tls.crt": identity.certificate.read_text(), "tls.key": identity.key.read_text()},
        }
    )


def _gateway() -> upstream.Manifest:
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "kserve-ingress-gateway", "namespace": NAMESPACE},
        "spec": {"gatewayClassName": gateway.CLASS, "listeners": [listener]},
    }
