"""Services of the user's own code on a cluster: the image that carries it, and what its servers are told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from plimsoll.kinds.predictors import ServedStep
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import Step
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.pod_task import DEPENDENCIES, RUNTIME
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.predictors import ALONE, Surroundings, own_code, served_alone


def in_pods(work: Serve) -> Surroundings:
    """Where the code runs in a pod: where the image starts, with the packages of its requirements.

    Without requirements it has numpy from the server's own packages. Memory is limited by the container.
    """
    packages = DEPENDENCIES if work.environment is not None else f"{DEPENDENCIES}:{RUNTIME}"
    return Surroundings(directory="", environment={"PYTHONPATH": packages, "HOME": "/tmp"})  # noqa: S108  # in a container


def commands_of(work: Serve) -> Iterator[ServedStep]:
    """The user's own code in a service."""
    yield from (step for step in (work.own, *work.pipeline) if step is not None and step.command)


def pipeline_models(work: Serve) -> Iterator[tuple[ServedStep, str]]:
    """The steps of a pipeline that have a model, with the directory in pods where its files are to be."""
    for number, step in enumerate(work.pipeline, 1):
        if step.model:
            yield step, place_of(number)


def place_of(number: int) -> str:
    """The directory in pods of the model of a pipeline's step."""
    return f"{MODEL}s/step-{number}"


def alone(step: Step[Serve], version_of: Callable[[ServedStep], ModelVersion]) -> ModelFile:
    """The entry of a service without a model of its own, with the models of its steps where pods find them."""
    where = in_pods(step.work)
    steps = []
    for number, each in enumerate(step.work.pipeline, 1):
        code = own_code(each, where, step.work.sample if number == 1 else {}) if each.command else None
        if not each.model:
            steps.append(ModelFile(name=each.name, version=ALONE, code=code))
            continue
        version = version_of(each)
        files = {name: Path(place_of(number), name) for name in version.files}
        steps.append(replace(version_file(version, files, code), name=each.name))
    return served_alone(step.work, steps, where)
