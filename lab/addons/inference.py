"""The Gateway API Inference Extension: pools of model servers, and a picker that selects a server for each request.

Envoy Gateway 1.7 accepts an InferencePool as a route's backend only from an extension server. The existing one, Envoy
AI Gateway, is not available as a module, so the lab has its own: the component `pool-routing`.
"""

from __future__ import annotations

import hashlib
import json

from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.addons.gateway import NAMESPACE, controller_image, controller_manifests
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.archive import Image
from lab.images.names import built_image_name

_NONROOT = "65532:65532"
_ROUTING, _ROUTING_PORT = "pool-routing", 5005
_POOLS = {"group": "inference.networking.k8s.io", "version": "v1", "kind": "InferencePool"}


def inference_extension() -> AddonContent:
    """The definitions, the extension server that routes to pools, and the image of pickers (`picker` deploys one)."""
    routing = Image(
        (built_image_name(_ROUTING, BY_NAME[_ROUTING]),),
        {_ROUTING: folder_of(BY_NAME[_ROUTING]) / _ROUTING},
        entrypoint=(f"/{_ROUTING}",),
        user=_NONROOT,
    )
    return AddonContent(
        images=[_picker_image(), routing],
        stages=[
            upstream.render_kustomization("inference-extension", "config/crd"),
            [*_routing_server(routing.names[0]), *_rights()],
            _gateway_with_extension(),
        ],
        ready=[(NAMESPACE, f"deployment/{_ROUTING}"), (NAMESPACE, "deployment/envoy-gateway")],
    )


def _picker_image() -> Image:
    component = BY_NAME["inference-extension"]
    files = {"epp": folder_of(component) / "epp"}
    # Upstream's name too, for users who deploy a picker from upstream's manifests.
    upstreams = f"registry.k8s.io/gateway-api-inference-extension/epp:{component.version}"
    return Image((built_image_name("epp", component), upstreams), files, entrypoint=("/epp",), user=_NONROOT)


def _routing_server(image: str) -> list[upstream.Manifest]:
    labels = {"app": _ROUTING}
    container = {
        "name": "server",
        "image": image,
        "readinessProbe": {"grpc": {"port": _ROUTING_PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    metadata = {"name": _ROUTING, "namespace": NAMESPACE}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "grpc", "port": _ROUTING_PORT}]},
        },
    ]


def _rights() -> list[upstream.Manifest]:
    """The rights of the gateway's controller to watch pools."""
    rules = [{"apiGroups": [_POOLS["group"]], "resources": ["inferencepools"], "verbs": ["get", "list", "watch"]}]
    rbac = "rbac.authorization.k8s.io"
    name = f"envoy-gateway-{_ROUTING}"
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "envoy-gateway", "namespace": NAMESPACE}],
        },
    ]


def _gateway_with_extension() -> list[upstream.Manifest]:
    """The gateway's controller with the extension server in its configuration, which restarts it."""
    everything = {"includeAll": True}
    extension = {
        "backendResources": [_POOLS],
        "hooks": {
            "xdsTranslator": {
                "post": ["Route", "Cluster", "Translation"],
                "translation": dict.fromkeys(("listener", "route", "cluster", "secret"), everything),
            }
        },
        "service": {"fqdn": {"hostname": f"{_ROUTING}.{NAMESPACE}.svc", "port": _ROUTING_PORT}},
    }
    manifests = controller_manifests(controller_image(), extension)
    deployment = upstream.find(manifests, "Deployment", "envoy-gateway")
    digest = hashlib.sha256(json.dumps(extension, sort_keys=True).encode()).hexdigest()
    deployment["spec"]["template"]["metadata"].setdefault("annotations", {})["plimsoll.dev/extension"] = digest[:12]
    return [upstream.find(manifests, "ConfigMap", "envoy-gateway-config"), deployment]


def picker(pool: str, namespace: str, labels: dict[str, str], port: int) -> list[upstream.Manifest]:
    """The manifests of upstream's chart: a pool of the pods with `labels` that serve on `port`, and its picker."""
    host, _, rest = _picker_image().names[0].partition("/")
    name, _, tag = rest.partition(":")
    values = {
        "inferenceExtension": {"image": {"hub": host, "name": name, "tag": tag, "pullPolicy": "IfNotPresent"}},
        "inferencePool": {"targetPorts": [{"number": port}], "modelServers": {"matchLabels": labels}},
    }
    return upstream.render_chart("inference-extension", "config/charts/inferencepool", pool, namespace, values)
