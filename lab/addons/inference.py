"""The Gateway API's Inference Extension: pools of model servers, and a picker that sends each request to one of them.

Envoy Gateway 1.7 takes an InferencePool as a route's backend from an extension server alone, and the one that there is
(Envoy AI Gateway) cannot be had as a module. Its own policies do the same: the picker is asked as an external processor
(`EnvoyExtensionPolicy`), and its answer, a header with the chosen pod's address, decides the balancing
(`BackendTrafficPolicy`). The protocol: gateway-api-inference-extension, docs/proposals/004-endpoint-picker-protocol.
"""

from __future__ import annotations

from lab.addons import upstream
from lab.addons.catalogue import Prepared
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.images.archive import Image
from lab.images.names import of_build

_NONROOT = "65532:65532"
_CHOSEN = "x-gateway-destination-endpoint"
_PORT, _PORT_NAME = 9002, "grpc-ext-proc"
_CERTIFICATES = "/certificates"


def inference_extension() -> Prepared:
    """The definitions and the picker's image; a picker serves one pool, so who has a pool deploys it (`picker`)."""
    return Prepared(
        images=[_image()],
        stages=[upstream.kustomized("inference-extension", "config/crd")],
        ready=[],
    )


def _image() -> Image:
    component = BY_NAME["inference-extension"]
    files = {"epp": folder_of(component) / "epp"}
    return Image((of_build("epp", component),), files, entrypoint=("/epp",), user=_NONROOT)


def picker(pool: str, namespace: str, labels: dict[str, str], port: int) -> list[upstream.Manifest]:
    """Upstream's chart for a pool of the pods with `labels` that serve on `port`, with its endpoint picker.

    The picker serves with a certificate of the cluster's authority. A Service of the pool's name has the same pods.
    """
    host, _, rest = _image().names[0].partition("/")
    name, _, tag = rest.partition(":")
    values = {
        "inferenceExtension": {
            "image": {"hub": host, "name": name, "tag": tag, "pullPolicy": "IfNotPresent"},
            "flags": {"cert-path": _CERTIFICATES},
        },
        "inferencePool": {"targetPorts": [{"number": port}], "modelServers": {"matchLabels": labels}},
    }
    manifests = upstream.chart("inference-extension", "config/charts/inferencepool", pool, namespace, values)
    spec = upstream.found(manifests, "Deployment", _name(pool))["spec"]["template"]["spec"]
    spec["containers"][0].setdefault("volumeMounts", []).append({"name": "certificate", "mountPath": _CERTIFICATES})
    spec["volumes"].append({"name": "certificate", "secret": {"secretName": _name(pool)}})
    service = {"selector": labels, "ports": [{"name": "http", "port": port, "targetPort": port}]}
    return [
        _certificate(pool, namespace),
        *manifests,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": pool, "namespace": namespace}, "spec": service},
    ]


def by_picker(pool: str, namespace: str, route: str) -> list[upstream.Manifest]:
    """Policies that have the pool's picker choose the pod for every request of an HTTPRoute to the pool's Service.

    Without an answer of the picker a request is refused. A pod that Envoy does not know is replaced by one in turn.
    """
    target = {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}]}
    # The picker reads the body for the model and the prompt while it comes, and changes it where it has to.
    body = {"body": "FullDuplexStreamed"}
    processor = {
        "backendRefs": [{"group": "", "kind": "Service", "name": _name(pool), "port": _PORT}],
        "processingMode": {"request": body, "response": body},
        "messageTimeout": "5s",
    }
    balancing = {"type": "RoundRobin", "endpointOverride": {"extractFrom": [{"header": _CHOSEN}]}}
    service = {"group": "", "kind": "Service", "name": _name(pool), "sectionName": _PORT_NAME}
    trust = {
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "kube-root-ca.crt"}],
        "hostname": _host(pool, namespace),
    }
    metadata = {"name": _name(pool), "namespace": namespace}
    envoy = "gateway.envoyproxy.io/v1alpha1"
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "BackendTLSPolicy",
            "metadata": metadata,
            "spec": {"targetRefs": [service], "validation": trust},
        },
        {
            "apiVersion": envoy,
            "kind": "EnvoyExtensionPolicy",
            "metadata": metadata,
            "spec": {**target, "extProc": [processor]},
        },
        {
            "apiVersion": envoy,
            "kind": "BackendTrafficPolicy",
            "metadata": metadata,
            "spec": {**target, "loadBalancer": balancing},
        },
    ]


def _name(pool: str) -> str:
    """What upstream's chart calls the picker and its Service."""
    return f"{pool}-epp"


def _host(pool: str, namespace: str) -> str:
    return f"{_name(pool)}.{namespace}.svc"


def _certificate(pool: str, namespace: str) -> upstream.Manifest:
    identity = identities.service_identity(f"{namespace}-{_name(pool)}", _host(pool, namespace))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": _name(pool), "namespace": namespace},
        "stringData": {"tls.crt": identity.certificate.read_text(), "tls.key": identity.key.read_text()},
    }
