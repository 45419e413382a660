"""An engine of language models beside a server, and the keys of endpoints."""

from __future__ import annotations

from plimsoll.kubernetes.api import Manifest
from plimsoll.llms.engines.engine import Container
from plimsoll.runtime.pod_task import WORK
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.pod import RESTRICTED

KEYS_SECRET = "plimsoll-llms"  # noqa: S105  # the name of a Secret
"""The Secret of the namespace with the keys of endpoints, each under the name of its variable."""
BESIDE_ENGINE: Manifest = {"requests": {"cpu": "250m", "memory": "256Mi"}}
"""What a server needs that hands requests on."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # in a container
START_TRIES = 360
"""Times ten seconds that an engine has to load its model: large ones take half an hour."""


def engine_container(engine: Container, resources: Manifest) -> Manifest:
    """The container: it reads what an init container has verified, and is reached from within the pod."""

    def asked(every: int, tries: int) -> Manifest:
        get = {"path": engine.health, "port": engine.port}
        return {"httpGet": get, "periodSeconds": every, "timeoutSeconds": 5, "failureThreshold": tries}

    own: list[Manifest] = []
    if engine.address:
        own.append({"name": engine.address, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    return {
        "name": "engine",
        "image": engine.image,
        "command": list(engine.command),
        # In this order: a record that is read back has another.
        "env": [*({"name": name, "value": value} for name, value in sorted(engine.environment.items())), *own],
        "resources": resources,
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": asked(10, START_TRIES),
        "readinessProbe": asked(2, 3),
        "livenessProbe": asked(10, 6),
        "volumeMounts": [
            {"name": "work", "mountPath": WORK, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            {"name": "shared", "mountPath": SHARED_MEMORY},
        ],
    }


def engine_volumes(served: ServedVersions) -> list[Manifest]:
    """What processes of an engine share with each other: the default of a container is too small for it."""
    return [] if served.engine is None else [{"name": "shared", "emptyDir": {"medium": "Memory"}}]


def key_variables(served: ServedVersions) -> Manifest:
    """The variables with the keys of endpoints, from the Secret: a key is in no manifest of ours."""
    endpoints = [model.llm.endpoint for model in served.file.models if model.llm is not None]
    keys = [endpoint.key for endpoint in endpoints if endpoint is not None and endpoint.key]
    if not keys:
        return {}
    return {"env": [{"name": key, "valueFrom": {"secretKeyRef": {"name": KEYS_SECRET, "key": key}}} for key in keys]}
