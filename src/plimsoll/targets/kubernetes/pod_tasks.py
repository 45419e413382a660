"""Steps as tasks for pods. Pure, except for references of results in the registry."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.errors import TargetError
from plimsoll.kinds.adapters import BASE_VARIABLE
from plimsoll.kinds.batch import Score
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.steps import AnyStep, InputFile
from plimsoll.runtime.pod_task import IndexTask, PodInput, PodTask
from plimsoll.targets.kubernetes.manifests.gang import host_names
from plimsoll.targets.kubernetes.manifests.models import BASE
from plimsoll.targets.kubernetes.manifests.pod import mounted_at
from plimsoll.targets.kubernetes.results import RegistryResults, checkpoint_tag, curve_tag


def pod_task_of(
    step: AnyStep,
    name: str,
    provider: str,
    results: RegistryResults,
    model: str | None = None,
    model_files: Mapping[str, str] | None = None,
    *,
    mount: bool = False,
    index: IndexTask | None = None,
) -> PodTask:
    """What the pods of a step have to do. `mount` has nodes mount the inputs, where they are in clear.

    `model` is a reference for a batch, and `model_files` are the digests of its files. `index` is what is built of an
    index.
    """
    work = step.work
    mount = mount and not results.secret
    result, sealed = results.for_pods(result_tag(step)), results.secret
    if isinstance(work, TrainGang):
        return PodTask(
            action="train",
            step=step.name,
            key=step.key,
            command=work.command,
            inputs=given(work.inputs, results, mount=mount),
            variables={**({BASE_VARIABLE: BASE} if work.base is not None else {}), **work.parameters},
            # KubeRay has the nodes of Ray up before the command is handed in.
            framework="none" if provider == "rayjob" else work.framework,
            hosts=host_names(provider, name, work.workers),
            cores=step.resources.cores,
            result=result,
            sealed=sealed,
            checkpoint=results.for_pods(checkpoint_tag(step.key)),
            curve=results.for_pods(curve_tag(step.key)),
        )
    if isinstance(work, Score):
        return PodTask(
            action="score",
            step=step.name,
            key=step.key,
            inputs=given((work.input,), results, mount=mount),
            result=result,
            sealed=sealed,
            model=model,
            model_files=dict(model_files or {}),
            arguments=work.options,
        )
    if isinstance(work, BuildIndex):
        return PodTask(
            action="index",
            step=step.name,
            key=step.key,
            inputs=given((work.documents,), results, mount=mount),
            cores=step.resources.cores,
            result=result,
            sealed=sealed,
            index=index,
        )
    if isinstance(work, Fetch):
        return PodTask(
            action="fetch",
            step=step.name,
            key=step.key,
            source=work.source,
            sha256=work.sha256,
            result=result,
            sealed=sealed,
        )
    assert isinstance(work, RunCommand)  # noqa: S101 - nothing else is done in pods
    return PodTask(
        action="run",
        step=step.name,
        key=step.key,
        command=work.command,
        inputs=given(work.inputs, results, mount=mount),
        variables=work.parameters,
        outputs=work.outputs,
        cores=step.resources.cores,
        result=result,
        sealed=sealed,
    )


def result_tag(step: AnyStep) -> str:
    """Where rank 0 leaves the output: what a gang leaves counts only when all of it has ended well."""
    return f"pending-{step.key}" if step.workers > 1 else step.key


def given(inputs: tuple[InputFile, ...], results: RegistryResults, *, mount: bool) -> tuple[PodInput, ...]:
    """Inputs as pods find them: `mount` has nodes mount them, else the pod pulls them."""
    return tuple(_mounted(each, results) if mount else _pulled(each, results) for each in inputs)


def _pulled(each: InputFile, results: RegistryResults) -> PodInput:
    return PodInput(name=each.name, reference=results.for_pods(each.key), file=each.file)


def _mounted(each: InputFile, results: RegistryResults) -> PodInput:
    """By digest: a node that has the content does not ask for it again, and cannot be given another."""
    found = results.find(each.key)
    if found is None:
        raise TargetError(f"the result of {each.step} is not in the registry", hint="run again to make it anew")
    reference = results.for_nodes(found.digest)
    return PodInput(name=each.name, reference=reference, file=each.file, mounted=mounted_at(each.name))
