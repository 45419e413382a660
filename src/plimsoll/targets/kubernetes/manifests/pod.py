"""The pod that carries a task, under the restricted Pod Security level."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.kinds.train import Topology, TrainGang
from plimsoll.kubernetes import quantities
from plimsoll.kubernetes.accelerators import EFA, efa_devices, resource_name
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import AnyStep, WorkerResources
from plimsoll.runtime.pod_task import CA_DIRECTORY, INPUTS, STOP_SECONDS, TASK_VARIABLE, UPLOAD_SECONDS, WORK, PodTask
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.claims import claim_name, claims
from plimsoll.targets.kubernetes.manifests.keys import with_key
from plimsoll.targets.kubernetes.manifests.nodes import on_nodes

USER = 65532
LOST_AFTER = 15
"""Seconds after which a pod on a node that does not answer is given up; Kubernetes' own default is five minutes."""
RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED_POD: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def task_pod(
    task: PodTask,
    step: AnyStep,
    image: str,
    cluster: Cluster,
    labels: dict[str, str],
    architectures: Sequence[str] = (),
) -> Manifest:
    """A pod template whose one container does the task, on nodes of the image's architectures."""
    claimed, resources = wanted(step.resources, cluster, labels[names.APPLICATION], workers=step.workers)
    mounted = [given for given in task.inputs if given.mounted]
    container: Manifest = {
        "name": "main",
        "image": image,
        "command": ["python", "-m", "plimsoll.runtime.pod"],
        "env": [{"name": TASK_VARIABLE, "value": task.encoded()}],
        "resources": resources,
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            authorities_mount(),
            *({"name": _volume(given.name), "mountPath": given.mounted, "readOnly": True} for given in mounted),
        ],
    }
    volumes: list[Manifest] = [
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        authorities_volume(),
        *(
            {"name": _volume(given.name), "image": {"reference": given.reference, "pullPolicy": "IfNotPresent"}}
            for given in mounted
        ),
    ]
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS + UPLOAD_SECONDS,
        "securityContext": RESTRICTED_POD,
        "containers": [container],
        "volumes": volumes,
        "tolerations": _patience(),
        **claimed,
        **_placed(step, cluster, labels),
    }
    pod: Manifest = {"metadata": {"labels": labels}, "spec": on_nodes(spec, step.resources, cluster, architectures)}
    return with_key(pod, task.sealed, {"main"}) if task.sealed else pod


CREDENTIALS = "plimsoll-data"


def with_credentials(pod: Manifest) -> Manifest:
    """The pod with the variables of a Secret by which stores of data let it in, where there is that Secret."""
    secret = {"secretRef": {"name": CREDENTIALS, "optional": True}}
    containers = [{**each, "envFrom": [secret]} for each in pod["spec"]["containers"]]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}


def wanted(
    worker: WorkerResources, cluster: Cluster, application: str, *, workers: int = 1
) -> tuple[Manifest, Manifest]:
    """What a worker requests: the pod's resource claims, and its container's resources.

    Accelerators are claimed by attribute where the cluster has a device class (DRA, KEP-4381), else counted. One of
    several workers has the network devices of its node too, where it has all of the accelerators.
    """
    requests: Manifest = {"cpu": quantities.written(int(worker.cores * 1000))}
    limits: Manifest = {}
    if worker.cpu is not None:
        limits["cpu"] = requests["cpu"]
    if worker.memory is not None:
        requests["memory"] = limits["memory"] = str(worker.memory)
    counted = resource_name(worker.accelerator, cluster)
    if worker.accelerators and counted and not claims(worker, cluster):
        limits[counted] = str(worker.accelerators)
    if workers > 1 and (devices := efa_devices(worker.accelerator, worker.accelerators, cluster)):
        limits[EFA] = str(devices)
    resources: Manifest = {"requests": requests, **({"limits": limits} if limits else {})}
    if not claims(worker, cluster):
        return {}, resources
    template = claim_name(application, worker, cluster)
    resources["claims"] = [{"name": "accelerators"}]
    return {"resourceClaims": [{"name": "accelerators", "resourceClaimTemplateName": template}]}, resources


def authorities_volume() -> Manifest:
    """The cluster's own certificate authority, which every namespace has: what signs registries inside it."""
    return {"name": "authorities", "configMap": {"name": "kube-root-ca.crt", "optional": True}}


def authorities_mount() -> Manifest:
    """Where pods find it."""
    return {"name": "authorities", "mountPath": CA_DIRECTORY, "readOnly": True}


def _volume(name: str) -> str:
    return names.short(f"input-{name}", 60)


def _patience() -> list[Manifest]:
    return [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": LOST_AFTER,
        }
        for key in ("not-ready", "unreachable")
    ]


def _placed(step: AnyStep, cluster: Cluster, labels: dict[str, str]) -> Manifest:
    """Where a gang's pods lie to each other."""
    topology = step.work.topology if isinstance(step.work, TrainGang) else None
    key = _topology_key(topology, cluster)
    if topology is None or key is None:
        return {}
    same = {"matchLabels": {names.KEY: labels[names.KEY]}}
    if topology.pack:
        term = {"labelSelector": same, "topologyKey": key}
        return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    apart = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": same}
    return {"topologySpreadConstraints": [apart]}


def _topology_key(topology: Topology | None, cluster: Cluster) -> str | None:
    if topology is None:
        return None
    return "kubernetes.io/hostname" if "node" in (topology.pack, topology.spread) else cluster.rack_label


def mounted_at(name: str) -> str:
    """Where an input is mounted in a pod."""
    return f"{INPUTS}/{name}"
