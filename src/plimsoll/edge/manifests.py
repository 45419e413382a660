"""A device of the edge as a Deployment of a small cluster: its token, its disk, its agent, and ways to its services.

Pure.
"""

from __future__ import annotations

from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.targets.kubernetes.manifests.pod import (
    RESTRICTED,
    RESTRICTED_POD,
    authorities_mount,
    authorities_volume,
)
from plimsoll.targets.kubernetes.manifests.schedule import CREDENTIALS

STATE, TOKEN = "/state", "/token"
TOKEN_FILE = "token"  # noqa: S105 - the name of a file
BROKER = "plimsoll-mqtt"
"""The Secret with PLIMSOLL_MQTT_USER and PLIMSOLL_MQTT_PASSWORD, where the broker asks for a login."""
STOP_SECONDS = 30


class AgentInCluster(Struct, frozen=True, kw_only=True):
    """What the objects are made of. `ports` are those of services that others in the cluster may ask, by name."""

    group: str
    device: str
    namespace: str
    image: str
    token: str
    storage: str
    storage_class: str = ""
    node: str = ""
    ports: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The name of all of its objects."""
        return f"edge-{self.device}"

    @property
    def labels(self) -> dict[str, str]:
        """What all of its objects carry."""
        return {"app.kubernetes.io/name": self.name, "app.kubernetes.io/part-of": self.group}


def agent_objects(agent: AgentInCluster) -> list[Manifest]:
    """The Secret, the claim, the Deployment, and a Service for ports that are open to others."""
    metadata: Manifest = {"name": agent.name, "namespace": agent.namespace, "labels": agent.labels}
    claim: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": agent.storage}},
        **({"storageClassName": agent.storage_class} if agent.storage_class else {}),
    }
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {TOKEN_FILE: agent.token}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                # The old pod lets go of the disk before the new one takes it: one agent has the device's key.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": {"app.kubernetes.io/name": agent.name}},
                "template": {"metadata": {"labels": agent.labels}, "spec": _pod(agent)},
            },
        },
    ]
    if agent.ports:
        ports = [
            {"name": name[:15].rstrip("-"), "port": port, "targetPort": port} for name, port in agent.ports.items()
        ]
        selector = {"app.kubernetes.io/name": agent.name}
        service: Manifest = {"selector": selector, "ports": ports}
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    return objects


def _pod(agent: AgentInCluster) -> Manifest:
    optional = {"optional": True}
    docker = {"secretName": CREDENTIALS, **optional, "items": [{"key": ".dockerconfigjson", "path": "config.json"}]}
    container: Manifest = {
        "name": "agent",
        "image": agent.image,
        "command": ["python", "-m", "plimsoll", "edge", "agent"],
        "args": ["--directory", STATE, "--token-file", f"{TOKEN}/{TOKEN_FILE}"],
        "env": [
            {"name": "HOME", "value": STATE},
            {"name": "DOCKER_CONFIG", "value": "/docker"},
            {"name": "TMPDIR", "value": "/tmp"},  # noqa: S108  # in a container
            {"name": "MALLOC_ARENA_MAX", "value": "1"},
        ],
        "envFrom": [{"secretRef": {"name": BROKER, **optional}}],
        "ports": [{"containerPort": port} for port in agent.ports.values()],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "state", "mountPath": STATE},
            {"name": "token", "mountPath": TOKEN, "readOnly": True},
            {"name": "docker", "mountPath": "/docker", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            authorities_mount(),
        ],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "securityContext": RESTRICTED_POD,
        "containers": [container],
        "volumes": [
            {"name": "state", "persistentVolumeClaim": {"claimName": agent.name}},
            # A token is used once: when its Secret is deleted, the agent goes on with its own key.
            {"name": "token", "secret": {"secretName": agent.name, **optional, "defaultMode": 0o440}},
            {"name": "docker", "secret": docker},
            {"name": "tmp", "emptyDir": {}},
            authorities_volume(),
        ],
        # A node without a link to its control plane is where a device has to go on.
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
            for key in ("unreachable", "not-ready")
        ],
        **({"nodeSelector": {"kubernetes.io/hostname": agent.node}} if agent.node else {}),
    }
