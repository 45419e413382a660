"""The objects of the webhook that refuses what no trusted key has signed: its pods, and what the API server asks. Pure.

Two configurations: one pins the images of pods to the digests that it has verified, the other judges what is going to
be stored. Both fail closed: while the webhook is down, nothing new runs in the namespaces that they hold in.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.policy.admission.admission_policy import NAMESPACE_LABEL
from plimsoll.policy.admission.kinds import resource_rules
from plimsoll.policy.facts import Document

NAME = "plimsoll-admission"
PORT = 8443
WAITS = 10
"""Seconds that the API server waits for an answer; the webhook takes eight at most."""
_MODULE = "plimsoll.runtime.admission"
_USER = 65532
_API = "admissionregistration.k8s.io/v1"


class Asked(Struct, frozen=True, kw_only=True):
    """What is asked for. `keys` are files of public keys by name, `guarded` the namespaces that it holds in.

    `registries` are where images may come from, `options` further options of the program, such as `--since=…`.
    `secret` is a Secret with the credentials of the registry (a Docker config.json), `registry_ca` PEM certificates.
    """

    namespace: str
    guarded: tuple[str, ...]
    image: str
    registries: tuple[str, ...]
    keys: Mapping[str, str]
    authority: bytes
    certificate: bytes
    key: bytes
    options: tuple[str, ...] = ()
    secret: str = ""
    registry_ca: str = ""
    plain_http: tuple[str, ...] = ()
    replicas: int = 2


def webhook_names(namespace: str) -> tuple[str, ...]:
    """The names by which the API server reaches the webhook: those of its certificate."""
    return (f"{NAME}.{namespace}.svc", f"{NAME}.{namespace}.svc.cluster.local")


def webhook(asked: Asked) -> list[Document]:
    """All objects, in the order in which they are applied: what asks the webhook comes last."""
    matching = {"matchLabels": _labels()}
    return [
        _of(asked, "v1", "ServiceAccount", {"automountServiceAccountToken": False}),
        _of(asked, "v1", "ConfigMap", {"data": dict(asked.keys)}, name=f"{NAME}-keys"),
        *_registry_ca(asked),
        _of(asked, "v1", "Secret", _tls(asked), name=f"{NAME}-tls"),
        _of(asked, "v1", "Service", {"spec": {"selector": _labels(), "ports": [{"port": 443, "targetPort": PORT}]}}),
        _of(asked, "apps/v1", "Deployment", {"spec": _deployment(asked)}),
        _of(asked, "policy/v1", "PodDisruptionBudget", {"spec": {"minAvailable": 1, "selector": matching}}),
        _configuration(asked, "MutatingWebhookConfiguration", "pin", _pods_only()),
        _configuration(asked, "ValidatingWebhookConfiguration", "judge", resource_rules()),
    ]


def _registry_ca(asked: Asked) -> list[Document]:
    if not asked.registry_ca:
        return []
    return [_of(asked, "v1", "ConfigMap", {"data": {"ca.pem": asked.registry_ca}}, name=f"{NAME}-registry")]


def _of(asked: Asked, version: str, kind: str, content: Document, *, name: str = NAME) -> Document:
    metadata = {"name": name, "namespace": asked.namespace, "labels": _labels()}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "plimsoll"}


def _tls(asked: Asked) -> Document:
    content = {"tls.crt": asked.certificate, "tls.key": asked.key}
    return {
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(each).decode() for name, each in content.items()},
    }


def _deployment(asked: Asked) -> Document:
    spec = {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(asked)],
        "volumes": _volumes(asked),
        **({"imagePullSecrets": [{"name": asked.secret}]} if asked.secret else {}),
    }
    return {
        "replicas": asked.replicas,
        "selector": {"matchLabels": _labels()},
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": _labels()}, "spec": spec},
    }


def _container(asked: Asked) -> Document:
    allowed = [word for each in asked.registries for word in ("--registry", each)]
    mounts = [("keys", "/keys"), ("tls", "/tls")]
    variables = {"HOME": "/tmp"}  # noqa: S108 - the pod's own
    if asked.secret:
        mounts.append(("registry-auth", "/registry-auth"))
        variables["REGISTRY_AUTH_FILE"] = "/registry-auth/config.json"
    if asked.registry_ca:
        mounts.append(("registry-ca", "/registry-ca"))
        variables["PLIMSOLL_REGISTRY_CA"] = "/registry-ca/ca.pem"
    if asked.plain_http:
        variables["PLIMSOLL_PLAIN_HTTP_REGISTRIES"] = ",".join(asked.plain_http)
    probe = {"httpGet": {"path": "/healthz", "port": PORT, "scheme": "HTTPS"}, "periodSeconds": 5}
    return {
        "name": "webhook",
        "image": asked.image,
        "command": ["python", "-m", _MODULE],
        "args": ["--keys", "/keys", "--certificate", "/tls", "--port", str(PORT), *allowed, *asked.options],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": probe,
        "livenessProbe": {**probe, "initialDelaySeconds": 20, "periodSeconds": 20},
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": name, "mountPath": path, "readOnly": True} for name, path in mounts],
    }


def _volumes(asked: Asked) -> list[Document]:
    found: list[Document] = [
        {"name": "keys", "configMap": {"name": f"{NAME}-keys"}},
        {"name": "tls", "secret": {"secretName": f"{NAME}-tls", "defaultMode": 0o440}},
    ]
    if asked.secret:
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        found.append({"name": "registry-auth", "secret": {"secretName": asked.secret, "items": items}})
    if asked.registry_ca:
        found.append({"name": "registry-ca", "configMap": {"name": f"{NAME}-registry"}})
    return found


def _pods_only() -> list[Document]:
    return [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["pods", "pods/ephemeralcontainers"],
        }
    ]


def _configuration(asked: Asked, kind: str, path: str, rules: Sequence[Document]) -> Document:
    service = {"name": NAME, "namespace": asked.namespace, "path": f"/{path}", "port": 443}
    selector = {"matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": list(asked.guarded)}]}
    webhook: Document = {
        "name": f"{path}.admission.plimsoll.dev",
        "clientConfig": {"service": service, "caBundle": base64.b64encode(asked.authority).decode()},
        "rules": list(rules),
        "namespaceSelector": selector,
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": WAITS,
        "admissionReviewVersions": ["v1"],
    }
    if path == "pin":
        # Another webhook may add containers after this one.
        webhook["reinvocationPolicy"] = "IfNeeded"
    metadata = {"name": f"{NAME}-{asked.namespace}", "labels": _labels()}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "webhooks": [webhook]}
