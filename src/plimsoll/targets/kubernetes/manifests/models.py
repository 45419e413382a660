"""A model brought into a pod: pulled and verified by an init container before anything may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.runtime.pod_task import CA_DIRECTORY, WORK
from plimsoll.targets.kubernetes.manifests.pod import RESTRICTED, authorities_mount

MODEL = f"{WORK}/model"
BASE = f"{WORK}/base"
"""Where the model is that an adapter is trained on."""
EARLIER = f"{WORK}/earlier"
"""Where a pod that builds an index finds the version before it."""
TRUST = "/plimsoll/trust"


def trust_name(application: str) -> str:
    """The ConfigMap with the public keys whose signatures count."""
    return f"{application}-trust"


def trust(application: str, namespace: str, labels: dict[str, str], keys: dict[str, str]) -> Manifest:
    """Public keys by file name."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": trust_name(application), "namespace": namespace, "labels": labels},
        "data": keys,
    }


def with_models(pod: Manifest, models: Mapping[str, str], image: str, application: str) -> Manifest:
    """The pod with models in it, each at a directory (the keys) from a reference.

    A model that is not what was signed keeps the pod from starting.
    """
    spec = pod["spec"]
    inits = [_puller(number, place, reference, image) for number, (place, reference) in enumerate(models.items())]
    volume = {"name": "trust", "configMap": {"name": trust_name(application)}}
    before = spec.get("initContainers", [])
    return {**pod, "spec": {**spec, "initContainers": [*before, *inits], "volumes": [*spec["volumes"], volume]}}


def _puller(number: int, place: str, reference: str, image: str) -> Manifest:
    words = ["plimsoll.runtime.pull", reference, "--keys", TRUST, "--output", place]
    made = brought(f"model-{number}", words, image)
    made["volumeMounts"].append({"name": "trust", "mountPath": TRUST, "readOnly": True})
    return made


def brought(name: str, words: Sequence[str], image: str) -> Manifest:
    """An init container that brings something from the registry into the pod's work directory, by a module of ours."""
    return {
        "name": name,
        "image": image,
        "command": ["python", "-m", *words],
        "env": [{"name": "PLIMSOLL_REGISTRY_CA", "value": f"{CA_DIRECTORY}/ca.crt"}],
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            authorities_mount(),
        ],
    }
