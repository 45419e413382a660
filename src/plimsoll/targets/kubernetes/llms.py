"""A language model on a cluster: where its files are in pods, and the container of its engine if that has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from plimsoll.kinds.llm import LlmModel, PreparedLlm
from plimsoll.llms.engines import ENGINES
from plimsoll.llms.engines.engine import PORT, Container, Role, Serving
from plimsoll.llms.settings import EndpointSettings
from plimsoll.planning.steps import WorkerResources
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.llms import entry, llm_version, model_file_name, settings_of

PREFILLER = "x-prefiller-host-port"
"""The header in which llm-d's picker names the engine that is to read a question."""


def places(llm: PreparedLlm) -> dict[str, LlmModel]:
    """The model and its adapters by the directories in pods where their files are to be."""
    return {f"{MODEL}s/llm-{number}": model for number, model in enumerate(llm.models)}


def in_pods(llm: PreparedLlm, version_of: Callable[[LlmModel], ModelVersion]) -> ModelFile:
    """What a server in a pod is told of it. An engine in a container is asked as an endpoint of the pod itself."""
    if llm.endpoint is not None:
        return llm_version(llm, [], None)
    paths: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for place, model in places(llm).items():
        version = version_of(model)
        paths[model.name] = Path(place, model_file_name(llm, version))
        digests |= {f"{place}/{name}": file.digest for name, file in version.files.items()}
    adapters = {name: str(path) for name, path in paths.items() if name != llm.name}
    settings = settings_of(llm, adapters, None)
    if ENGINES[llm.engine].container is not None:
        passes = (PREFILLER,) if llm.prefill else ()
        beside = EndpointSettings(url=f"http://127.0.0.1:{PORT}/v1", model=llm.name, passes=passes)
        settings = replace(settings, endpoint=beside)
    assert llm.model is not None  # noqa: S101 - it has one without an endpoint
    return entry(llm, version_of(llm.model), paths[llm.name], digests, settings)


def container_of(llm: PreparedLlm, file: ModelFile, resources: WorkerResources) -> Container | None:
    """The container of its engine; None for one that our server runs itself, and for an endpoint."""
    return _container(llm, file, resources, "decode" if llm.prefill else "whole")


def prefiller_of(llm: PreparedLlm, file: ModelFile, resources: WorkerResources) -> Container | None:
    """The container of an engine that only reads questions; None where none is asked for."""
    return _container(llm, file, resources, "prefill") if llm.prefill else None


def _container(llm: PreparedLlm, file: ModelFile, resources: WorkerResources, role: Role) -> Container | None:
    make = ENGINES[llm.engine].container
    if make is None or file.llm is None:
        return None
    serving = Serving(
        name=llm.name,
        model=str(Path(file.path).parent),
        adapters={name: str(Path(path).parent) for name, path in file.llm.adapters.items()},
        context=llm.context,
        slots=llm.slots,
        tokens=llm.limits.tokens,
        accelerators=resources.accelerators,
        role=role,
    )
    return make(serving)
