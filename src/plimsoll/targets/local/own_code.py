"""Services of the user's own code on this machine: the environment that their commands run in, and their models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.indexes.layout import FACTS
from plimsoll.kinds.predictors import ServedStep
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service_settings import SampleInput
from plimsoll.planning.steps import Step
from plimsoll.runtime.server.service_file import ModelFile, OwnCode
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.llms import llm_files, llm_version
from plimsoll.targets.local.commands import base_environment, environment_python
from plimsoll.targets.local.servers import model_file
from plimsoll.targets.local.service_isolation import service_sandbox
from plimsoll.targets.models import directory_of, onnx_name, version_for_use
from plimsoll.targets.predictors import ALONE, Surroundings, own_code, served_alone

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion

_OF_ENVIRONMENT = ("PATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")


def surroundings(step: Step[Serve], state: StateDirectory, directory: Path) -> Surroundings:
    """Where the code of a service runs: in the application's directory, with the Python of its environment."""
    base = base_environment(environment_python(step.work.environment, state))
    return Surroundings(
        directory=str(directory),
        environment={name: base.get(name) for name in _OF_ENVIRONMENT},
        memory=step.resources.memory,
        sandbox=service_sandbox(step, state, directory, base) if step.work.is_isolated else None,
    )


def version_file(version: ModelVersion, files: Mapping[str, Path], code: OwnCode | None) -> ModelFile:
    """A version as an entry of a service file: its ONNX file, an index, or all files as the code is given them."""
    if version.lineage.index is not None:
        return _index_file(version, files)
    if code is None:
        return model_file(version, files[onnx_name(version)])
    digests = {str(path): version.files[name].digest for name, path in files.items()}
    return ModelFile(
        name=version.name,
        version=str(version.version),
        path=str(directory_of(files)),
        digest=version.digest,
        files=digests,
        code=code,
    )


def _index_file(version: ModelVersion, files: Mapping[str, Path]) -> ModelFile:
    return ModelFile(
        name=version.name,
        version=str(version.version),
        path=str(files[FACTS]),
        digest=version.digest,
        files={str(path): version.files[name].digest for name, path in files.items()},
        index=True,
    )


def service_alone(step: Step[Serve], state: StateDirectory, where: Surroundings) -> ModelFile:
    """The entry of a service without a model of its own, and of a language model.

    Raises ModelRefused for a model of a step of its pipeline.
    """
    if step.work.llm is not None:
        return llm_version(step.work.llm, llm_files(state, step.work.llm), where.memory)
    samples = [step.work.sample, *({} for _ in step.work.pipeline[1:])]
    steps = [_step(*each, state, where) for each in zip(step.work.pipeline, samples, strict=False)]
    return served_alone(step.work, steps, where)


def _step(step: ServedStep, sample: Mapping[str, SampleInput], state: StateDirectory, where: Surroundings) -> ModelFile:
    code = own_code(step, where, sample) if step.command else None
    if not step.model:
        return ModelFile(name=step.name, version=ALONE, code=code)
    version, files = version_for_use(state, step.model, step.register_key)
    return replace(version_file(version, files, code), name=step.name, reference=version.reference)
