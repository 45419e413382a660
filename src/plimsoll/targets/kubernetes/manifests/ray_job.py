"""A training with Ray as KubeRay's RayJob: worker 0 is the head and runs the command, the others are Ray's workers."""

from __future__ import annotations

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import RAY
from plimsoll.planning.steps import AnyStep
from plimsoll.runtime.pod_task import DEPENDENCIES, RUNTIME
from plimsoll.targets.kubernetes.pods import INDEX

_DASHBOARD = 8265
_AGENT = 52365


def ray_job(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str]) -> Manifest:
    """The RayJob of a step. Its pods need bash, and Ray with its dashboard (`ray[default]`). Source: RayJob API v1.

    The operator hands the command in by the dashboard, once all nodes are ready, and tries `retries` times more with
    a new cluster.
    """
    start = {"num-cpus": str(max(1, int(step.resources.cores)))}
    workers = {
        "groupName": "workers",
        "replicas": step.workers - 1,
        "minReplicas": step.workers - 1,
        "maxReplicas": step.workers - 1,
        "rayStartParams": start,
        "template": _node(pod, "/api/local_raylet_healthz", _AGENT),
    }
    cluster = {
        "headGroupSpec": {"rayStartParams": start, "template": _head(pod)},
        "workerGroupSpecs": [workers] if step.workers > 1 else [],
    }
    timeout = getattr(step.work, "timeout", None)
    return {
        "apiVersion": RAY,
        "kind": "RayJob",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "submissionMode": "HTTPMode",
            "entrypoint": f"env PYTHONPATH={RUNTIME} python -m plimsoll.runtime.pod.ray_command",
            "shutdownAfterJobFinishes": True,
            "backoffLimit": step.retries,
            "rayClusterSpec": cluster,
            **({"activeDeadlineSeconds": int(timeout)} if timeout else {}),
        },
    }


def _head(pod: Manifest) -> Manifest:
    node = _node(pod, "/api/gcs_healthz", _DASHBOARD)
    metadata = node["metadata"]
    return {**node, "metadata": {**metadata, "annotations": {**metadata["annotations"], INDEX: "0"}}}


def _node(pod: Manifest, path: str, port: int) -> Manifest:
    """A node of Ray, which brings its inputs and then starts as the operator wants it to.

    Probes of our own: the operator's ask for GNU's wget in the image.
    """
    (main,) = pod["spec"]["containers"]
    asked = {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 6, "periodSeconds": 2}
    container = {
        **main,
        "command": ["python", "-m", "plimsoll.runtime.pod.ray_start"],
        "env": [*main["env"], *({"name": key, "value": value} for key, value in _ENVIRONMENT.items())],
        "readinessProbe": asked,
        "livenessProbe": {**asked, "initialDelaySeconds": 60, "failureThreshold": 30},
    }
    annotations = {"ray.io/overwrite-container-cmd": "true"}
    return {
        "metadata": {**pod["metadata"], "annotations": annotations},
        "spec": {**pod["spec"], "containers": [container]},
    }


_ENVIRONMENT = {
    # The operator's own container, which waits for the head with `ray`, gets the same variables.
    "PYTHONPATH": f"{RUNTIME}:{DEPENDENCIES}",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A pod's user may have no name and no home, which Ray asks for.
    "USER": "plimsoll",
    "HOME": "/tmp",  # noqa: S108  # in a container
}
