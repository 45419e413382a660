"""A CronJob that runs an application, with the account and the disk that it needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.nodes import on_architectures
from plimsoll.targets.kubernetes.manifests.pod import (
    RESTRICTED,
    RESTRICTED_POD,
    authorities_mount,
    authorities_volume,
)

LONGEST_NAME = 52
"""Characters of a CronJob's name: its Jobs add eleven."""
STATE = "/state"
STATE_SIZE = "5Gi"
CREDENTIALS = "plimsoll-registry"
"""The Secret of type kubernetes.io/dockerconfigjson with which the run pushes to the registry, where there is one."""
DATA_CREDENTIALS = "plimsoll-data"
STOP_SECONDS = 120
"""Seconds that a run has to end in good order."""


class Scheduled(Struct, frozen=True, kw_only=True):
    """What runs when: `arguments` follow `plimsoll run`, `workdir` has the application in the image."""

    application: str
    namespace: str
    schedule: str
    image: str
    workdir: str
    arguments: tuple[str, ...]
    architectures: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of all of its objects."""
        return names.lettered(f"{self.application}-schedule", LONGEST_NAME)

    @property
    def labels(self) -> dict[str, str]:
        """What all of its objects carry. They are the user's own, so that `down` leaves them alone."""
        return {"app.kubernetes.io/name": self.name, "app.kubernetes.io/part-of": self.application}

    @property
    def account(self) -> str:
        """The account of its pods, as RBAC calls it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def schedule_objects(scheduled: Scheduled) -> list[Manifest]:
    """The account, the disk, and the CronJob."""
    metadata: Manifest = {
        "name": scheduled.name,
        "namespace": scheduled.namespace,
        "labels": scheduled.labels,
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": STATE_SIZE}}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": metadata,
            "spec": {
                "schedule": scheduled.schedule,
                "timeZone": "Etc/UTC",
                # A run that goes on is not overtaken by the next one, which would be refused.
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 3600,
                "jobTemplate": {
                    "spec": {
                        "backoffLimit": 1,
                        "template": {"metadata": {"labels": scheduled.labels}, "spec": _pod(scheduled)},
                    }
                },
            },
        },
    ]


def _pod(scheduled: Scheduled) -> Manifest:
    optional = {"optional": True}
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": scheduled.name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "securityContext": RESTRICTED_POD,
        "containers": [
            {
                "name": "run",
                "image": scheduled.image,
                "command": ["python", "-m", "plimsoll", "run", *scheduled.arguments],
                "workingDir": scheduled.workdir,
                "env": [
                    {"name": "HOME", "value": STATE},
                    {"name": "XDG_CONFIG_HOME", "value": f"{STATE}/config"},
                    {"name": "XDG_CACHE_HOME", "value": f"{STATE}/cache"},
                    {"name": "DOCKER_CONFIG", "value": "/docker"},
                ],
                "envFrom": [{"secretRef": {"name": DATA_CREDENTIALS, **optional}}],
                "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}},
                "securityContext": RESTRICTED,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "state", "mountPath": STATE},
                    # Versions, journals and what is cached go on from one run to the next.
                    {"name": "state", "mountPath": f"{scheduled.workdir}/.plimsoll", "subPath": "application"},
                    {"name": "docker", "mountPath": "/docker", "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
                    authorities_mount(),
                ],
            }
        ],
        "volumes": [
            {"name": "state", "persistentVolumeClaim": {"claimName": scheduled.name}},
            {
                "name": "docker",
                "secret": {
                    "secretName": CREDENTIALS,
                    **optional,
                    "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
                },
            },
            {"name": "tmp", "emptyDir": {}},
            authorities_volume(),
        ],
    }
    return on_architectures(spec, scheduled.architectures)


def run_arguments(file: str, namespace: str, options: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The arguments of `plimsoll run` in a pod: the same as here, with the pod's own account as the target."""
    pairs = (("-f", file), ("--target", "in-cluster"), ("--namespace", namespace), *options)
    return tuple(word for pair in pairs for word in pair)
