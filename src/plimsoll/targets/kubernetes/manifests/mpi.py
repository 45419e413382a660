"""What a gang of MPI needs besides its workload: mpirun starts its daemons through a door in each worker's pod."""

from __future__ import annotations

import base64
import secrets

from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.planning.steps import AnyStep
from plimsoll.runtime.contracts.mpi import SECRET_VARIABLE
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.gang import Workload
from plimsoll.targets.kubernetes.manifests.pod import USER

_ANNOTATION = "plimsoll.dev/passwd"
_PASSWD = f"root:x:0:0:root:/root:/bin/sh\nplimsoll:x:{USER}:{USER}:plimsoll:/tmp:/bin/sh\n"
_KEY = "secret"


def is_mpi_gang(step: AnyStep) -> bool:
    """Whether mpirun has to start daemons in other pods."""
    return isinstance(step.work, TrainGang) and step.work.framework == "mpi" and step.workers > 1


def beside(workload: Workload, name: str, labels: dict[str, str]) -> Workload:
    """The workload, and before it what its pods need."""
    before = (_secret(name, labels), _policy(name, labels))
    return Workload(objects=(*before, *workload.objects), watched=workload.watched, restarts=workload.restarts)


def _secret(name: str, labels: dict[str, str]) -> Manifest:
    """A fresh secret, by which a door knows who may ask. It is applied once, with the workload."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "type": "Opaque",
        "data": {_KEY: base64.b64encode(secrets.token_hex(32).encode()).decode()},
    }


def _policy(name: str, labels: dict[str, str]) -> Manifest:
    """Only the gang's own pods reach each other."""
    own = {"matchLabels": {names.KEY: labels[names.KEY]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": own}]}],
        },
    }


def with_mpi(pod: Manifest, name: str) -> Manifest:
    """The pod with the secret, and with a user that has a name: mpirun starts nothing for one without.

    The names come from an annotation of the pod's own, so that nothing has to be written into the image.
    """
    metadata = pod["metadata"]
    annotations = {**metadata.get("annotations", {}), _ANNOTATION: _PASSWD}
    field = {"fieldPath": f"metadata.annotations['{_ANNOTATION}']"}
    volume = {"name": "users", "downwardAPI": {"items": [{"path": "passwd", "fieldRef": field}]}}
    mount = {"name": "users", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True}
    variable = {"name": SECRET_VARIABLE, "valueFrom": {"secretKeyRef": {"name": name, "key": _KEY}}}

    def changed(container: Manifest) -> Manifest:
        return {
            **container,
            "env": [*container["env"], variable],
            "volumeMounts": [*container["volumeMounts"], mount],
        }

    spec = pod["spec"]
    spec = {**spec, "containers": [changed(each) for each in spec["containers"]], "volumes": [*spec["volumes"], volume]}
    return {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
