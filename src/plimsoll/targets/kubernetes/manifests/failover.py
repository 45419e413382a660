"""What stands before the standby of a service: it leads requests to the other target, and moves the route's weights.

One process does both, so that weights move while no `plimsoll` runs. Its account may read and patch the service's own
route, and nothing else. Sources: HTTPRoute of Gateway API v1 for weights; RBAC's `resourceNames`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import GATEWAY, RBAC, Cluster
from plimsoll.runtime.server.identities.cluster_settings import PLACE
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.callers import cluster_volume
from plimsoll.targets.kubernetes.manifests.groups import PORT, ServedVersions, Standby
from plimsoll.targets.kubernetes.manifests.nodes import on_architectures
from plimsoll.targets.kubernetes.manifests.pod import RESTRICTED, RESTRICTED_POD
from plimsoll.targets.kubernetes.manifests.policies import policy

VERSION = "failover"
"""In place of a version, the label of what stands before the standby."""
ALL = 100
"""The weight of what has all requests."""
LOOKS = "/plimsoll/failover"
"""The page on which it says what it has seen."""


def failover_name(name: str) -> str:
    """What the objects are called that lead the requests of a service to its standby."""
    return f"{name}-{VERSION}"


def words_of_failover(route: Manifest) -> str:
    """What stands on a route whose requests go to its standby, as JSON; empty while they do not."""
    front = failover_name(route["metadata"]["name"])
    backends = (each for rule in route["spec"].get("rules") or [] for each in rule.get("backendRefs") or [])
    if not any(each["name"] == front for each in backends):
        # The service does not fail over any more, and the words are of before.
        return ""
    return str((route["metadata"].get("annotations") or {}).get(names.FAILED_OVER, ""))


def without_state(served: ServedVersions) -> ServedVersions:
    """What a service serves, without where its requests go at the moment: that is the route's to say."""
    return served if served.standby is None else replace(served, standby=replace(served.standby, leads=False))


def failing_over(served: ServedVersions, labels: dict[str, str], cluster: Cluster) -> list[Manifest]:
    """All that is made for the failover of a service; nothing for one without a standby."""
    if served.standby is None:
        return []
    name = failover_name(served.objects_name)
    labels = {**labels, names.VERSION: VERSION}
    metadata: Manifest = {"name": name, "labels": labels}
    # No selector of the service's finds the pod.
    pod_labels = {**names.of_application(served.application), names.STANDS_BEFORE: name}
    ingress = {"ports": [{"protocol": "TCP", "port": PORT}]}
    policed = {"podSelector": {"matchLabels": pod_labels}, "policyTypes": ["Ingress"], "ingress": [ingress]}
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    service = {"selector": pod_labels, "ports": [port]}
    return [
        *_rights(metadata, served.objects_name),
        policy(name, labels, policed),
        _deployment(served, served.standby, metadata, pod_labels, cluster.namespace),
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


def led(backends: Iterable[Manifest], served: ServedVersions, front: Manifest) -> list[Manifest]:
    """The backends of a route beside that of the standby, `front`: one of both sides has all requests."""
    own = list(backends)
    if served.standby is None:
        return own
    if len(own) == 1:
        own = [{**own[0], "weight": ALL}]
    leads = served.standby.leads
    return [*({**each, "weight": 0} if leads else each for each in own), {**front, "weight": ALL if leads else 0}]


def own_weights(backends: Iterable[Manifest]) -> str:
    """The weights of a service's own servers, for whoever moves requests back to them."""
    found = {each["name"]: each["weight"] for each in backends}
    if len(found) == 1:
        found = dict.fromkeys(found, ALL)
    return msgspec.json.encode(found, order="sorted").decode()


def _rights(metadata: Manifest, route: str) -> list[Manifest]:
    """An account that may read and patch one route."""
    group, name = RBAC.partition("/")[0], metadata["name"]
    rule = {
        "apiGroups": [GATEWAY.partition("/")[0]],
        "resources": ["httproutes"],
        "resourceNames": [route],
        "verbs": ["get", "patch"],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False},
        {"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        },
    ]


def _container(served: ServedVersions, standby: Standby, name: str, namespace: str) -> Manifest:
    own = served.objects_name
    look = {"periodSeconds": 2, "timeoutSeconds": 5}
    live = {"path": "/v2/health/live", "port": "http"}
    return {
        "name": VERSION,
        "image": served.image,
        "command": [
            *("python", "-m", "plimsoll.runtime.failover", "--own", f"http://{own}.{namespace}.svc"),
            *("--standby", standby.address, "--to", standby.to, "--namespace", namespace, "--route", own),
            *("--front", name, "--after", f"{standby.after:g}", "--back", f"{standby.back:g}"),
            *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104
            *(("--seconds", str(served.longest_answer + 5)) if served.longest_answer else ()),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        # It is needed most when nothing else is ready: whether the standby answers is no matter of its own readiness.
        "readinessProbe": {"httpGet": live, **look},
        "livenessProbe": {"httpGet": live, **look, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "volumeMounts": [{"name": "cluster", "mountPath": PLACE, "readOnly": True}],
    }


def _deployment(
    served: ServedVersions, standby: Standby, metadata: Manifest, labels: dict[str, str], namespace: str
) -> Manifest:
    """One process: what it has seen is its own, and two would move weights against each other."""
    name = metadata["name"]
    spec: Manifest = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "containers": [_container(served, standby, name, namespace)],
        "volumes": [cluster_volume()],
    }
    if served.longest_answer:
        spec["terminationGracePeriodSeconds"] = served.longest_answer + 10
    spec = on_architectures(spec, served.architectures)
    content = hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": {names.KEY: served.key}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": {names.CONTENT: content}}, "spec": spec},
        },
    }
