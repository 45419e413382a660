"""Pods of probes: their manifests, and their state for the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.capabilities.records import PodFields
from plimsoll.kubernetes.api import Manifest

RESTRICTED: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""A security context under the restricted Pod Security level."""


def container_manifest(image: str, script: str | None = None, **more: object) -> Manifest:
    """A container under the restricted level that runs a shell script, or waits; `more` are fields of the container."""
    command = {"command": ["sh", "-c", script]} if script else {"args": ["pause"]}
    return {"name": "main", "image": image, "securityContext": RESTRICTED, **command, **more}


def pod_manifest(
    name: str, container: Manifest, labels: Mapping[str, str] | None, spec: Mapping[str, object]
) -> Manifest:
    """A pod of one container that is not restarted; `spec` are further fields of its spec."""
    default = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {"app": name})},
        "spec": {**default, "containers": [container], **spec},
    }


def pod_fields(pod: Manifest) -> PodFields:
    """The state of a pod, as the fields of a record."""
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    return PodFields(
        name=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName", ""),
        phase=status.get("phase", ""),
        reason=status.get("reason", ""),
        waiting=tuple(
            each["state"]["waiting"].get("reason", "") for each in containers if "waiting" in each.get("state", {})
        ),
        unscheduled=unscheduled_message(pod),
        scheduler=pod["spec"].get("schedulerName", ""),
        images=tuple(each.get("imageID", "") for each in containers),
    )


def unscheduled_message(pod: Manifest) -> str:
    """The scheduler's message about a pod that it found no node for; empty otherwise."""
    for each in pod.get("status", {}).get("conditions", []):
        if each["type"] == "PodScheduled" and each.get("status") == "False":
            return str(each.get("message", ""))
    return ""
