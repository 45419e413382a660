"""Finds and verifies the model of a reference in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from plimsoll.errors import TargetError
from plimsoll.kinds.register import RegisterResult
from plimsoll.state.directory import StateDirectory

if TYPE_CHECKING:
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.registry.versions import ModelVersion


def model_registry(state: StateDirectory) -> ModelRegistry:
    """The model registry of an application."""
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.signing.keys import KeyRing

    return ModelRegistry(state.registry, KeyRing.default())


def model_for_use(state: StateDirectory, reference: str, register_key: str | None) -> tuple[ModelVersion, Path]:
    """The version that a service or batch uses, and its verified ONNX file.

    `register_key` is the key of the step that registered the model in this plan; without it the reference decides.
    Raises ModelRefused when the model was altered or misses its bounds, TargetError when it has no ONNX file.
    """
    version, files = version_for_use(state, reference, register_key)
    return version, files[onnx_name(version)]


def version_for_use(
    state: StateDirectory, reference: str, register_key: str | None
) -> tuple[ModelVersion, Mapping[str, Path]]:
    """The version that a service or batch uses, and its verified files by their names.

    Raises ModelRefused when the model was altered, misses its bounds or is in quarantine.
    """
    registry = model_registry(state)
    if register_key is not None:
        reference = f"{reference.partition('@')[0]}@{registered_version(state, reference, register_key)}"
    version = registry.find(reference)
    opened = registry.open(version)
    registry.require_servable(version)
    return version, opened.files


def require_scorable(version: ModelVersion) -> None:
    """Raise TargetError for a version that a batch cannot score: one of another format than ONNX."""
    if not any(name.endswith(".onnx") for name in version.files):
        raise TargetError(
            f"a batch scores ONNX models, and {version.reference} has {', '.join(sorted(version.files))}",
            hint="write model.onnx in training as well, or serve the model by code of your own and score the table"
            " through its service: plimsoll predict SERVICE --input FILE",
            lasting=True,
        )


def directory_of(files: Mapping[str, Path]) -> Path:
    """The directory in which a version's files lie by their names."""
    name, path = next(iter(files.items()))
    return path.parents[len(PurePosixPath(name).parts) - 1]


def registered_version(state: StateDirectory, reference: str, register_key: str) -> int:
    """The number of the version that a step of this plan registered. Raises TargetError without one."""
    result = state.result(register_key, RegisterResult)
    if result is None:
        raise TargetError(f"model {reference} has not been registered", hint="run again to register it")
    return result.version


def digests_of(version: ModelVersion, model: Path) -> dict[Path, str]:
    """The digests of a version's files, by their paths. `model` is the path of one of them."""
    name = next(name for name in version.files if model.match(name))
    root = model.parents[len(PurePosixPath(name).parts) - 1]
    return {root / each: entry.digest for each, entry in version.files.items()}


def onnx_name(version: ModelVersion) -> str:
    """The name of a version's ONNX file: model.onnx, or the first in order. Raises TargetError without one."""
    onnx = sorted(name for name in version.files if name.endswith(".onnx"))
    if not onnx:
        raise TargetError(
            f"model {version.reference} has no ONNX file among {', '.join(sorted(version.files))}",
            hint="bring an ONNX file, write model.onnx to $PLIMSOLL_OUTPUT in training, or serve it by code of your own"
            " (`run` of the service; docs/predictors.md)",
            lasting=True,
        )
    return next((name for name in onnx if name.rpartition("/")[2] == "model.onnx"), onnx[0])
