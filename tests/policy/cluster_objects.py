"""Objects that keep every rule of pods, and ways to break one: each with the rules that it breaks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from plimsoll.application.policies import Images, Policies, SupplyChain

Object = dict[str, Any]
REGISTRY = "registry.example/shop"
DIGEST = "@sha256:" + "a" * 64
IMAGE = f"{REGISTRY}/train{DIGEST}"
POLICIES = Policies(supply_chain=SupplyChain(images=Images(pinned=True, registries=(REGISTRY,))), pods="restricted")


def container(name: str = "main", image: str = IMAGE) -> Object:
    return {
        "name": name,
        "image": image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def pod_spec(**changes: Any) -> Object:
    return {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container()],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        **changes,
    }


def pod(spec: Object | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train"}, "spec": spec or pod_spec()}


def workload(kind: str, spec: Object) -> Object:
    """An object of a kind that makes pods of a spec."""
    template = {"metadata": {"labels": {"app": "train"}}, "spec": spec}
    head = {"metadata": {"generateName": "train-"}}
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        selector = {"matchLabels": {"app": "train"}}
        return {"apiVersion": "apps/v1", "kind": kind, **head, "spec": {"selector": selector, "template": template}}
    if kind == "Job":
        return {"apiVersion": "batch/v1", "kind": kind, **head, "spec": {"template": template}}
    if kind == "CronJob":
        job = {"spec": {"template": template}}
        return {"apiVersion": "batch/v1", "kind": kind, **head, "spec": {"schedule": "0 3 * * *", "jobTemplate": job}}
    if kind == "JobSet":
        jobs = [
            {"name": "good", "template": {"spec": {"template": {"spec": pod_spec()}}}},
            {"name": "workers", "template": {"spec": {"template": template}}},
        ]
        return {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": kind, **head, "spec": {"replicatedJobs": jobs}}
    assert kind == "LeaderWorkerSet"
    group = {"leaderTemplate": template, "workerTemplate": {"spec": pod_spec()}}
    api = "leaderworkerset.x-k8s.io/v1"
    return {"apiVersion": api, "kind": kind, **head, "spec": {"leaderWorkerTemplate": group}}


KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "JobSet",
    "LeaderWorkerSet",
)


def _context(**changes: Any) -> Callable[[Object], None]:
    def change(spec: Object) -> None:
        spec["containers"][0]["securityContext"] |= changes

    return change


def _whole(**changes: Any) -> Callable[[Object], None]:
    return lambda spec: spec.update(changes)


def _image(image: str) -> Callable[[Object], None]:
    def change(spec: Object) -> None:
        spec["containers"][0]["image"] = image

    return change


def _more(kind: str, image: str) -> Callable[[Object], None]:
    return lambda spec: spec.update({kind: [container("more", image)]})


def _volume(**source: Any) -> Callable[[Object], None]:
    return lambda spec: spec.update(volumes=[{"name": "v", **source}])


def _without(word: str) -> Callable[[Object], None]:
    def change(spec: Object) -> None:
        del spec["containers"][0]["securityContext"][word]

    return change


OTHER = f"evil.example/shop/train{DIGEST}"
CHEATS: dict[str, tuple[Callable[[Object], None], set[str]]] = {
    "a tag": (_image(f"{REGISTRY}/train:1"), {"images-pinned"}),
    "a digest that is too short": (_image(f"{REGISTRY}/train@sha256:abc"), {"images-pinned"}),
    "a digest of another registry": (_image(OTHER), {"registries"}),
    "a registry that only begins alike": (_image(f"{REGISTRY}.evil/train{DIGEST}"), {"registries"}),
    "the registry as a path of another": (_image(f"evil.example/{REGISTRY}/train{DIGEST}"), {"registries"}),
    "no registry": (_image("train:1"), {"images-pinned", "registries"}),
    "no image": (lambda spec: spec["containers"][0].pop("image"), {"images-pinned", "registries"}),
    "an init container": (_more("initContainers", OTHER), {"registries"}),
    "an ephemeral container": (_more("ephemeralContainers", f"{REGISTRY}/shell:1"), {"images-pinned"}),
    "a second container": (lambda spec: spec["containers"].append(container("b", OTHER)), {"registries"}),
    "an image as a volume": (_volume(image={"reference": OTHER}), {"registries"}),
    "a path of the node": (_volume(hostPath={"path": "/"}), {"volumes"}),
    "a path of the node beside a good volume": (
        lambda spec: spec["volumes"].append({"name": "w", "hostPath": {"path": "/var"}}),
        {"volumes"},
    ),
    "a network file system": (_volume(nfs={"server": "nfs.example", "path": "/"}), {"volumes"}),
    "the node's network": (_whole(hostNetwork=True), {"host-namespaces"}),
    "the node's processes": (_whole(hostPID=True), {"host-namespaces"}),
    "the node's memory": (_whole(hostIPC=True), {"host-namespaces"}),
    "a port of the node": (
        lambda spec: spec["containers"][0].update(ports=[{"containerPort": 80, "hostPort": 80}]),
        {"host-namespaces"},
    ),
    "a sysctl of the node": (
        lambda spec: spec["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
        {"sysctls"},
    ),
    "privileged": (_context(privileged=True), {"privileges"}),
    "escalation": (_context(allowPrivilegeEscalation=True), {"privileges"}),
    "escalation that is not said": (_without("allowPrivilegeEscalation"), {"privileges"}),
    "an unmasked /proc": (_context(procMount="Unmasked"), {"privileges"}),
    "root in one container": (_context(runAsNonRoot=False), {"non-root"}),
    "user 0": (_context(runAsUser=0), {"non-root"}),
    "user 0 for the pod": (lambda spec: spec["securityContext"].update(runAsUser=0), {"non-root"}),
    "root that is not said": (lambda spec: spec["securityContext"].pop("runAsNonRoot"), {"non-root"}),
    "capabilities kept": (_without("capabilities"), {"capabilities"}),
    "a capability added": (_context(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), {"capabilities"}),
    "no seccomp": (lambda spec: spec["securityContext"].pop("seccompProfile"), {"seccomp"}),
    "seccomp switched off for one": (_context(seccompProfile={"type": "Unconfined"}), {"seccomp"}),
    "no security context": (
        lambda spec: spec["containers"][0].pop("securityContext"),
        {"privileges", "capabilities"},
    ),
}
FINE: dict[str, Callable[[Object], None]] = {
    "nothing changed": lambda _: None,
    "a tag beside the digest": _image(f"{REGISTRY}/train:1{DIGEST}"),
    "a good init container": _more("initContainers", IMAGE),
    "labels that say anything": lambda spec: spec.update(nodeSelector={"plimsoll.dev/exempt": "true"}),
    "a capability that is allowed": _context(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    "all said by the container": _context(runAsNonRoot=True, seccompProfile={"type": "Localhost"}, runAsUser=1000),
    "volumes of the namespace": _volume(configMap={"name": "settings"}),
    "no volumes": lambda spec: spec.pop("volumes"),
    "a good sysctl": lambda spec: spec["securityContext"].update(
        sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}]
    ),
}


def cheated(name: str) -> tuple[Object, set[str]]:
    """A pod spec that breaks rules, and which."""
    change, rules = CHEATS[name]
    spec = copy.deepcopy(pod_spec())
    change(spec)
    return spec, rules


def fine(name: str) -> Object:
    """A pod spec that keeps all rules."""
    spec = copy.deepcopy(pod_spec())
    FINE[name](spec)
    return spec
