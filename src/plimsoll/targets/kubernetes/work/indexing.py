"""An index that is built on a cluster: what its pod is told, and what is brought into the pod before."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.indexes.names import versions_of
from plimsoll.kinds.index import BuildIndex
from plimsoll.planning.steps import Step
from plimsoll.runtime.pod_task import IndexTask
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.indexes import deleted_from, order_of
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.models import EARLIER, MODEL
from plimsoll.targets.kubernetes.work.register import pushed, version_of
from plimsoll.targets.models import model_registry, onnx_name

MOST_DELETED = 32 << 10
"""Characters of ids: all that a pod is told stands in one variable, of which Linux takes 128 KiB."""


class Indexing(Struct, frozen=True, kw_only=True):
    """The task, and signed versions by the directories of the pod where their files are to be."""

    task: IndexTask
    models: Mapping[str, str]


def indexing_of(step: Step[BuildIndex], context: ClusterContext) -> Indexing:
    """What a step comes to. Raises ModelRefused for an embedding model that may not be used."""
    work, threads = step.work, max(1, int(step.resources.cores))
    models: dict[str, str] = {}
    model: str | None = None
    earlier: str | None = None
    embedder: str | None = None
    if work.model is not None:
        version = version_of(work.model, work.register_key, context)
        embedder, model = version.reference, f"model/{onnx_name(version)}"
        models[MODEL] = pushed(version, context)
        if (before := _earlier(step, context)) is not None:
            models[EARLIER], earlier = before, "earlier"
    order = order_of(work, threads=threads, model=model, earlier=earlier)
    order = replace(order, deleted=_deleted(work.index, context))
    return Indexing(task=IndexTask(order=order, embedder=embedder), models=models)


def _deleted(index: str, context: ClusterContext) -> tuple[str, ...]:
    """What was deleted from a service of this machine. Raises TargetError for more than a pod can be told of."""
    found = deleted_from(StateDirectory(context.directory), index)
    if sum(map(len, found)) > MOST_DELETED:
        text = f"{len(found)} documents were deleted over HTTP, which is more than a pod can be told of"
        hint = "take them out of the dataset, and remove the journal of changes once a version is built"
        raise TargetError(text, where=f"indexes.{index}", hint=hint, lasting=True)
    return found


def _earlier(step: Step[BuildIndex], context: ClusterContext) -> str | None:
    """The newest version of the index, by digest: the pod verifies it and embeds only what it does not have.

    A step that is carried out again although it has a result begins with nothing.
    """
    if step.name in context.forced:
        return None
    registry = model_registry(context.state)
    found = registry.versions(versions_of(step.work.index))
    if not found:
        return None
    try:
        registry.require_servable(found[-1])
        return pushed(found[-1], context)
    except ModelRefused:
        # One that was altered or is in quarantine gives no vectors; then all of them are made anew.
        return None
