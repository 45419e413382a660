"""An assistant on a cluster: its index is in its pods; its language model too, or asked where a service has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.llm import PreparedLlm
from plimsoll.llms.engines import ENDPOINT
from plimsoll.llms.engines.engine import Container
from plimsoll.llms.settings import EndpointSettings
from plimsoll.planning.steps import WorkerResources
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.targets.assistants import assistant_file
from plimsoll.targets.kubernetes.llms import container_of, places
from plimsoll.targets.kubernetes.llms import in_pods as llm_in_pods
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.llms import llm_version, settings_of
from plimsoll.targets.local.own_code import version_file

INDEX = f"{MODEL}s/index"
"""The directory in pods of an assistant's index."""


class AssistantInPods(Struct, frozen=True, kw_only=True):
    """What a server is told, the versions by the directories in pods where their files are to be, and the engine."""

    file: ServiceFile
    versions: Mapping[str, ModelVersion]
    engine: Container | None = None


def in_pods(
    plan: AssistantPlan,
    llm: PreparedLlm,
    rules: str,
    version_of: Callable[[str], ModelVersion],
    resources: WorkerResources,
    url: str = "",
) -> AssistantInPods:
    """What an assistant comes to. `url` is the API of the service that has its language model; empty without one.

    Raises TargetError for a model that the engine cannot read.
    """
    version = version_of(plan.index)
    index = version_file(version, {name: Path(INDEX, name) for name in version.files}, None)
    if url:
        model = _elsewhere(llm, version_of, url)
        return AssistantInPods(file=assistant_file(plan, index, model, rules), versions={INDEX: version})
    # Nobody picks among the pods of an assistant: each has the whole of the language model.
    llm = replace(llm, prefill=0)
    model = llm_in_pods(llm, lambda each: version_of(each.reference))
    beside = {place: version_of(each.reference) for place, each in places(llm).items()}
    return AssistantInPods(
        file=assistant_file(plan, index, model, rules),
        versions={INDEX: version, **beside},
        engine=container_of(llm, model, resources),
    )


def _elsewhere(llm: PreparedLlm, version_of: Callable[[str], ModelVersion], url: str) -> ModelFile:
    """The language model of another service, by the version that this run serves there.

    That service knows its adapters, its limits and the key of an endpoint; it is asked by the name of the model.
    """
    if llm.model is None:
        bare = llm_version(llm, [], None)
        assert bare.llm is not None  # noqa: S101 - it is one
        return replace(bare, llm=replace(bare.llm, endpoint=EndpointSettings(url=url, model=llm.name)))
    settings = settings_of(replace(llm, adapter=None, adapters=()), {}, None)
    version = version_of(llm.model.reference)
    return ModelFile(
        name=llm.name,
        version=str(version.version),
        digest=version.digest,
        reference=version.reference,
        llm=replace(settings, engine=ENDPOINT, endpoint=EndpointSettings(url=url, model=llm.name)),
    )
