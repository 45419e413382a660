"""A stand-in for KServe's controller of language models: what it makes of an LLMInferenceService, and what it says.

By its source: pkg/controller/v1alpha2/llmisvc of github.com/kserve/kserve. It names Deployments and labels them as
KServe does, hands labels and annotations of the object on to pods alone, and merges its defaults below the containers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from plimsoll.kubernetes.cluster import KSERVE_LLM
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import (
    condition,
    is_leaving,
    is_true,
    owner_of,
    owner_reference,
    with_conditions,
)
from plimsoll.kubernetes.memory.values import copied

Manifest = dict[str, Any]
DEFINITION: Manifest = yaml.safe_load(Path(__file__).with_name("llminferenceservices.yaml").read_text())
KIND = "LLMInferenceService"
_MAIN: Manifest = {
    "image": "ghcr.io/llm-d/llm-d-cuda:v0.6.0",
    "args": ["--served-model-name", "theirs"],
    "lifecycle": {"preStop": {"exec": {"command": ["/bin/sleep", "15"]}}},
    "readinessProbe": {"httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"}, "periodSeconds": 10},
}
"""Of KServe's defaults for its main container, what ours has to take the place of."""


class LlmServices:
    """Makes the Deployments. `refuses` is why the object's configuration cannot be rendered; empty when it can."""

    kinds = frozenset({("serving.kserve.io", "llminferenceservices"), ("apps", "deployments")})

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to one object, or to that of a Deployment."""
        made = found["kind"] == "Deployment"
        owner = owner_of(world.hand, found, KIND) if made else found
        if owner is not None and not (gone and not made) and not is_leaving(owner):
            self._see_to(world, owner)

    def _see_to(self, world: World, owner: Manifest) -> None:
        if self.refuses:
            said = condition("PresetsCombined", true=False, reason="InvalidRenderedConfig", message=self.refuses)
            self._say(world, owner, said, condition("Ready", true=False, reason=said["reason"], message=self.refuses))
            return
        spec, conditions = owner["spec"], [condition("PresetsCombined")]
        workloads = [("", "llminferenceservice-workload", "MainWorkloadReady", spec)]
        if "prefill" in spec:
            workloads.append(
                ("-prefill", "llminferenceservice-workload-prefill", "PrefillWorkloadReady", spec["prefill"])
            )
        for suffix, component, kind, part in workloads:
            made = _deployed(world, owner, suffix, component, part)
            true = made is not None and is_true(made, "Available")
            conditions.append(condition(kind, true=true, reason="" if true else "MinimumReplicasUnavailable"))
        conditions.append(condition("Ready", true=all(each["status"] == "True" for each in conditions)))
        self._say(world, owner, *conditions)

    def _say(self, world: World, owner: Manifest, *conditions: Manifest) -> None:
        fresh = with_conditions(owner, *conditions)
        if fresh != (owner.get("status") or {}).get("conditions"):
            world.hand.set_status(owner, {"conditions": fresh})


def _deployed(world: World, owner: Manifest, suffix: str, component: str, part: Manifest) -> Manifest | None:
    metadata = owner["metadata"]
    labels = {
        "app.kubernetes.io/name": metadata["name"],
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "llminferenceservice",
    }
    pod = copied(part["template"])
    for number, each in enumerate(pod["containers"]):
        if each["name"] == "main":
            pod["containers"][number] = _merged(_MAIN, each)
    template = {"metadata": {"labels": {**part["labels"], **labels}, "annotations": part["annotations"]}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    name, namespace = f"{metadata['name']}-kserve{suffix}", metadata["namespace"]
    there = world.hand.find("apps/v1", "Deployment", name, namespace)
    if there is None:
        wanted = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner_reference(owner)]}
        replicas = part.get("replicas", 1)
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": wanted}
        return world.hand.create({**made, "spec": {**spec, "replicas": replicas}})
    marks = there["spec"]["template"]["metadata"].get("annotations", {})
    if marks != part["annotations"]:

        def change(live: Manifest) -> None:
            live["spec"] = {**live["spec"], "template": template}

        return world.hand.change(there, change)
    return there


def _merged(below: Manifest, above: Manifest) -> Manifest:
    """As a strategic merge has it: mappings by their keys, lists of words as one value."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _merged(below[key], above[key])
    return merged


assert DEFINITION["spec"]["group"] == KSERVE_LLM.partition("/")[0]
