"""A language model's servers as KServe's LLMInferenceService: pods with our server, and the engine that KServe keeps.

Source: serving.kserve.io/v1alpha2, where pods get labels of the object, and KServe's configuration of its defaults,
which are merged below what is said here: a container by its name, a probe field by field. By contract: tests hold the
objects against KServe's definition, and nobody has run them under its controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import KSERVE_LLM
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions

MAIN = "main"
"""What KServe calls the container of the engine."""
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_PROGRAM = 2
"""Words of a command that name the program: KServe's defaults have arguments that ours take the place of."""


def by_kserve(served: ServedVersions, chosen: Mapping[str, str]) -> bool:
    """Whether KServe keeps the servers: they have an engine in a container, and the provider is chosen."""
    return served.engine is not None and chosen.get("engines") == "llminferenceservice"


def main_of(name: str) -> str:
    """The name of the Deployment that KServe makes."""
    return f"{name}-kserve"


def prefill_of(name: str) -> str:
    """The name of the Deployment that it makes of engines that only read questions."""
    return f"{main_of(name)}-prefill"


def llm_inference_service(deployment: Manifest, served: ServedVersions, readers: Manifest | None = None) -> Manifest:
    """The pods of a Deployment with a server and an engine, kept by KServe; and those of `readers`, with an engine that
    only reads questions.

    The model is brought and verified by the pods' own init containers, so that KServe's is off. Requests are led as
    those of every service, and KServe's router is left out.
    """
    template = deployment["spec"]["template"]
    metadata = template["metadata"]
    server, engine, *beside = template["spec"]["containers"]
    model = _model(served)
    scaled = served.scale.max > served.scale.min
    return {
        "apiVersion": KSERVE_LLM,
        "kind": "LLMInferenceService",
        "metadata": deployment["metadata"],
        "spec": {
            "model": {"uri": f"oci://{served.models[str(PurePosixPath(model.path).parent)]}", "name": model.name},
            "storageInitializer": {"enabled": False},
            # What an autoscaler sets is not ours to set again.
            **({} if scaled else {"replicas": max(1, served.scale.min)}),
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
            "template": {**template["spec"], "containers": [_engine(engine), server, *beside]},
            **({"prefill": _prefill(readers)} if readers is not None else {}),
        },
    }


def _prefill(readers: Manifest) -> Manifest:
    template = readers["spec"]["template"]
    containers = [_engine(each) for each in template["spec"]["containers"]]
    return {
        "replicas": readers["spec"]["replicas"],
        "labels": template["metadata"]["labels"],
        "annotations": template["metadata"]["annotations"],
        "template": {**template["spec"], "containers": containers},
    }


def refusal(found: Manifest) -> str:
    """What KServe says of an object that it will not try again; empty for others."""
    for each in _conditions(found):
        if each["type"] == "PresetsCombined" and each.get("reason") in {"ConfigNotFound", "InvalidRenderedConfig"}:
            return _said(each)
    return ""


def reason(found: Manifest) -> str:
    """Why KServe has not made the servers yet, by its conditions."""
    for each in _conditions(found):
        if each["type"] != "Ready":
            return _said(each)
    return "KServe has not made the servers yet"


def _conditions(found: Manifest) -> list[Manifest]:
    """Its conditions that do not hold."""
    return [each for each in found.get("status", {}).get("conditions", []) if each.get("status") == "False"]


def _said(condition: Manifest) -> str:
    words = ": ".join(filter(None, (condition.get("reason", ""), condition.get("message", ""))))
    return f"KServe: {condition['type']} is False: {words or 'no reason is given'}"


def _engine(container: Manifest) -> Manifest:
    """The engine as KServe's main container. Fields that its defaults set otherwise are said here."""
    command = container["command"]
    probes = {
        name: {**container[name], "httpGet": {**container[name]["httpGet"], "scheme": "HTTP"}}
        for name in _PROBES
        if name in container
    }
    return {
        **container,
        "name": MAIN,
        "command": command[:_PROGRAM],
        "args": command[_PROGRAM:],
        "ports": [{"containerPort": probes["readinessProbe"]["httpGet"]["port"], "protocol": "TCP"}],
        **probes,
    }


def _model(served: ServedVersions) -> ModelFile:
    """The language model, which an assistant has beside its index."""
    return next(each for each in served.file.models if each.llm is not None)
