"""What an API server fills in where a manifest says nothing, as far as clients look at it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.kubernetes.memory.gateway_defaults import gateway, route
from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import copied

_JOB_LABELS = ("batch.kubernetes.io/job-name", "job-name")
_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
_addresses = itertools.count(1)


def fill(kind: ServedKind, manifest: Manifest) -> None:
    """Fill in what is missing. An object that has been filled in is left as it is."""
    filler = _FILLERS.get(kind.resource)
    if filler is not None:
        filler(manifest)


def _defaults(place: Manifest, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        place.setdefault(key, copied(value))


def _namespace(manifest: Manifest) -> None:
    labels = manifest["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = manifest["metadata"].get("name", "")
    _defaults(manifest.setdefault("spec", {}), {"finalizers": ["kubernetes"]})
    _defaults(manifest.setdefault("status", {}), {"phase": "Active"})


def _pod_spec(spec: Manifest) -> None:
    _defaults(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    )
    for container in _dictionaries([*(spec.get("containers") or []), *(spec.get("initContainers") or [])]):
        image = str(container.get("image", ""))
        tagged = ":" in image.rpartition("/")[2] and not image.endswith(":latest")
        _defaults(
            container,
            {
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent" if tagged or "@" in image else "Always",
            },
        )
        for port in _dictionaries(container.get("ports") or []):
            _defaults(port, {"protocol": "TCP"})


def _dictionaries(items: list[Any]) -> list[Manifest]:
    """What is no object is for the validation to refuse."""
    return [each for each in items if isinstance(each, dict)]


def _pod(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _pod_spec(spec)
    _defaults(spec, {"serviceAccountName": "default", "serviceAccount": "default", "enableServiceLinks": True})
    _defaults(manifest.setdefault("status", {}), {"phase": "Pending", "qosClass": "BestEffort"})


def _template(spec: Manifest) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


def _deployment(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    _defaults(spec, {"replicas": 1, "strategy": rolling, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    _template(spec)
    manifest.setdefault("status", {})


def _replicated(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _defaults(spec, {"replicas": 1})
    _template(spec)
    manifest.setdefault("status", {})


def _job(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _defaults(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        },
    )
    _template(spec)
    metadata = manifest["metadata"]
    if not spec.get("manualSelector") and metadata.get("uid"):
        labels = spec["template"]["metadata"].setdefault("labels", {})
        _defaults(labels, dict.fromkeys(_JOB_LABELS, metadata.get("name", "")))
        _defaults(labels, dict.fromkeys(_UID_LABELS, metadata["uid"]))
        _defaults(spec, {"selector": {"matchLabels": {_UID_LABELS[0]: metadata["uid"]}}})
    manifest.setdefault("status", {})


def _service(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _defaults(spec, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"})
    if spec["type"] != "ExternalName" and not spec.get("clusterIP"):
        number = next(_addresses)
        spec["clusterIP"] = f"10.96.{number // 256 % 256}.{number % 256}"
    if spec.get("clusterIP"):
        _defaults(spec, {"clusterIPs": [spec["clusterIP"]], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    for port in _dictionaries(spec.get("ports") or []):
        _defaults(port, {"protocol": "TCP"})
        _defaults(port, {"targetPort": port.get("port")})
    _defaults(manifest.setdefault("status", {}), {"loadBalancer": {}})


def _network_policy(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _defaults(spec, {"policyTypes": ["Ingress", *(["Egress"] if spec.get("egress") else [])]})
    for rule in _dictionaries([*(spec.get("ingress") or []), *(spec.get("egress") or [])]):
        for port in _dictionaries(rule.get("ports") or []):
            _defaults(port, {"protocol": "TCP"})


def _autoscaler(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _defaults(spec, {"minReplicas": 1})
    if "behavior" not in spec:
        return
    up = [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]
    down = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    rules: dict[str, Manifest] = {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": up},
        "scaleDown": {"policies": down},
    }
    for name, values in rules.items():
        _defaults(spec["behavior"].setdefault(name, {}), {"selectPolicy": "Max", **values})


def _claims(devices: Manifest) -> None:
    for request in _dictionaries(devices.get("requests") or []):
        if isinstance(request.get("exactly"), dict):
            _defaults(request["exactly"], {"allocationMode": "ExactCount", "count": 1})


def _claim(manifest: Manifest) -> None:
    _claims(manifest.setdefault("spec", {}).setdefault("devices", {}))


def _claim_template(manifest: Manifest) -> None:
    _claims(manifest.setdefault("spec", {}).setdefault("spec", {}).setdefault("devices", {}))


def _secret(manifest: Manifest) -> None:
    import base64

    _defaults(manifest, {"type": "Opaque"})
    plain = manifest.pop("stringData", None) or {}
    if plain:
        coded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        manifest.setdefault("data", {}).update(coded)


def _quota(manifest: Manifest) -> None:
    manifest.setdefault("spec", {})
    manifest.setdefault("status", {})


_FILLERS: Mapping[tuple[str, str], Callable[[Manifest], None]] = {
    ("", "namespaces"): _namespace,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "secrets"): _secret,
    ("", "resourcequotas"): _quota,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replicated,
    ("apps", "statefulsets"): _replicated,
    ("batch", "jobs"): _job,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("resource.k8s.io", "resourceclaims"): _claim,
    ("resource.k8s.io", "resourceclaimtemplates"): _claim_template,
    ("gateway.networking.k8s.io", "gateways"): gateway,
    ("gateway.networking.k8s.io", "httproutes"): route,
}
