"""The add-ons for storage: an OCI registry and S3."""

from __future__ import annotations

import json
import secrets
from typing import Any

from lab import layout
from lab.addons.catalogue import AddonContent
from lab.addons.upstream import Manifest
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.files import write
from lab.images.archive import Image
from lab.images.names import REGISTRY_HOST, built_image_name
from lab.images.python import python_base
from lab.images.store import ensure_archive

_NOBODY = 65532
_SERVER = {
    "runAsNonRoot": True,
    "runAsUser": _NOBODY,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def registry() -> AddonContent:
    """A registry with TLS at a fixed cluster address. Every node knows it as `registry.lab.plimsoll.dev`."""
    image = _image("registry")
    identity = identities.service_identity(
        "registry", str(layout.REGISTRY_ADDRESS), REGISTRY_HOST, "registry.registry.svc", "localhost", "127.0.0.1"
    )
    files = {"tls.crt": identity.certificate.read_text(), "tls.key": identity.key.read_text()}
    settings = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/data",
        "REGISTRY_STORAGE_DELETE_ENABLED": "true",
        "REGISTRY_HTTP_ADDR": f":{layout.REGISTRY_PORT}",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/identity/tls.crt",
        "REGISTRY_HTTP_TLS_KEY": "/identity/tls.key",
        # A secret that replicas would share. Without it the registry makes a new one at every start and warns.
        "REGISTRY_HTTP_SECRET": _secret("registry"),
    }
    container = {
        "args": ["serve", "/etc/registry.yaml"],
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "readinessProbe": {"tcpSocket": {"port": layout.REGISTRY_PORT}, "periodSeconds": 1},
    }
    mounts = {
        "identity": ({"secret": {"secretName": "identity"}}, "/identity"),
        "settings": ({"configMap": {"name": "settings"}}, "/etc/registry.yaml"),
    }
    extra = [
        _object("Secret", "identity", "registry", stringData=files),
        _object("ConfigMap", "settings", "registry", data={"registry.yaml": _REGISTRY_SETTINGS}),
        *_discovery_objects(),
    ]
    return _server("registry", image, container, layout.REGISTRY_PORT, mounts, extra, str(layout.REGISTRY_ADDRESS))


def _discovery_objects() -> list[Manifest]:
    """The registry's address for tools (KEP-1755), and a base image for plimsoll, as the lab has no public registry."""
    hosting = {
        "hostFromContainerRuntime": REGISTRY_HOST,
        "hostFromClusterNetwork": f"registry.registry.svc:{layout.REGISTRY_PORT}",
        "help": "reach it from outside through the API server",
    }
    base = f"oci-archive:{ensure_archive(python_base())}"
    told = {"localRegistryHosting.v1": json.dumps(hosting)}
    return [
        _object("ConfigMap", "local-registry-hosting", "kube-public", data=told),
        _object("ConfigMap", "plimsoll", "kube-public", data={"base": base}),
    ]


_REGISTRY_SETTINGS = "version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: /data}}\n"


def minio() -> AddonContent:
    """MinIO at `http://minio.minio.svc:9000`. The Secret `minio/keys` has its keys under the names of S3 clients."""
    keys = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": _secret("minio")}
    names = {"MINIO_ROOT_USER": "AWS_ACCESS_KEY_ID", "MINIO_ROOT_PASSWORD": "AWS_SECRET_ACCESS_KEY"}
    container = {
        "args": ["server", "/data", "--address", ":9000", "--quiet"],
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "keys", "key": key}}} for name, key in names.items()
        ],
        "readinessProbe": {"httpGet": {"path": "/minio/health/ready", "port": 9000}, "periodSeconds": 1},
    }
    return _server("minio", _image("minio"), container, 9000, {}, [_object("Secret", "keys", "minio", stringData=keys)])


def _image(component: str) -> Image:
    binary = folder_of(BY_NAME[component]) / component
    name = built_image_name(component, BY_NAME[component])
    return Image((name,), {f"bin/{component}": binary}, entrypoint=(f"/bin/{component}",), user=str(_NOBODY))


def _server(
    name: str,
    image: Image,
    container: dict[str, Any],
    port: int,
    mounts: dict[str, tuple[dict[str, Any], str]],
    objects: list[Manifest],
    address: str | None = None,
) -> AddonContent:
    """A server in a namespace of the same name. Its data is in an emptyDir on its node and ends with the lab."""
    volumes = [{"name": "data", "emptyDir": {}}, *({"name": key, **source} for key, (source, _) in mounts.items())]
    places = [{"name": "data", "mountPath": "/data"}]
    for key, (source, path) in mounts.items():
        part = {"subPath": path.rpartition("/")[2]} if "configMap" in source else {}
        places.append({"name": key, "mountPath": path, **part})
    main = {"name": name, "image": image.names[0], "volumeMounts": places, "securityContext": _SERVER, **container}
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [main], "volumes": volumes, "securityContext": {"fsGroup": _NOBODY}},
    }
    deployment = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": template,
    }
    service: dict[str, Any] = {"selector": labels, "ports": [{"port": port, "targetPort": port}]}
    if address:
        service["clusterIP"] = address
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    workload = _object("Deployment", name, name, version="apps/v1", spec=deployment)
    manifests = [namespace, *objects, _object("Service", name, name, spec=service), workload]
    return AddonContent([image], [manifests], [(name, f"deployment/{name}")])


def _object(kind: str, name: str, namespace: str, version: str = "v1", **fields: object) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _secret(name: str) -> str:
    """A random secret that stays the same while the lab exists."""
    path = layout.FOLDER / "secrets" / name
    if not path.exists():
        write(path, secrets.token_hex(20), mode=0o600)
    return path.read_text()
