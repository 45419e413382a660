"""Adapters on every target: the files of the model that one is trained on, and whether it fits that model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from plimsoll.errors import TargetError
from plimsoll.kinds.adapters import BASE_VARIABLE, Base
from plimsoll.runtime.model_formats.adapters import (
    ADAPTER,
    about_gguf,
    about_peft,
    is_adapter,
    misfit_of_gguf,
    misfit_of_peft,
)
from plimsoll.runtime.model_formats.gguf import GgufHeader, read_gguf_file
from plimsoll.runtime.model_formats.reader import BadModelFile
from plimsoll.runtime.model_formats.safetensors import SafetensorsHeader, read_safetensors_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.models import directory_of, version_for_use

if TYPE_CHECKING:
    from plimsoll.registry.versions import AdapterOf, ModelVersion

GGUF, SAFETENSORS = ".gguf", ".safetensors"
PEFT_FILE = "adapter_config.json"
_HINT = f"write a LoRA in GGUF, or PEFT's {PEFT_FILE} with its safetensors, to $PLIMSOLL_OUTPUT (docs/finetuning.md)"
Files = Mapping[str, Path]


def base_variables(base: Base | None, state: StateDirectory) -> dict[str, str]:
    """The variable by which a training finds the verified files of the model that its adapter is of.

    Raises ModelRefused for a model that was altered, misses its bounds or is in quarantine.
    """
    if base is None:
        return {}
    _, files = version_for_use(state, base.reference, base.register_key)
    return {BASE_VARIABLE: str(directory_of(files))}


def adapter_of(state: StateDirectory, base: Base, files: Files, where: str) -> AdapterOf:
    """What is recorded of an adapter: its base model's version. Raises TargetError for files that do not fit that."""
    from plimsoll.registry.versions import AdapterOf

    version, base_files = version_for_use(state, base.reference, base.register_key)
    about = require_fit(files, version, base_files, where)
    return AdapterOf(reference=version.reference, digest=version.digest, weights=version.weights, about=about)


def require_fit(files: Files, base: ModelVersion, base_files: Files, where: str) -> str:
    """What an adapter is, in words. Raises TargetError unless `files` are one adapter that fits the base model."""
    ggufs = _ending(files, GGUF)
    if len(ggufs) == 1:
        return _gguf(files[ggufs[0]], base, base_files, where)
    if any(name.rpartition("/")[2] == PEFT_FILE for name in files) and _ending(files, SAFETENSORS):
        return _peft(files, base, base_files, where)
    found = f"has {len(ggufs)} GGUF files" if ggufs else f"has {', '.join(sorted(files))[:200]}"
    raise TargetError(f"this is not an adapter: it {found}", where=where, hint=_HINT, lasting=True)


def _gguf(path: Path, base: ModelVersion, base_files: Files, where: str) -> str:
    adapter = gguf_header(path, where)
    if not is_adapter(adapter):
        hint = f"set general.type to {ADAPTER}, as llama.cpp's convert_lora_to_gguf.py does, or remove `kind: adapter`"
        raise TargetError(f"{path.name} is a model and no adapter", where=where, hint=hint, lasting=True)
    ours = _ending(base_files, GGUF)
    if len(ours) != 1:
        _other_format(f"the adapter is GGUF, and {base.reference} has {', '.join(sorted(base_files))[:200]}", where)
    misfit = misfit_of_gguf(adapter, gguf_header(base_files[ours[0]], base.reference))
    _require(misfit, base, where)
    return about_gguf(adapter)


def _peft(files: Files, base: ModelVersion, base_files: Files, where: str) -> str:
    ours = _ending(base_files, SAFETENSORS)
    if not ours:
        names = ", ".join(sorted(base_files))[:200]
        _other_format(f"the adapter is in PEFT's format, and {base.reference} has {names}", where)
    tensors = {name: shape for each in _ending(files, SAFETENSORS) for name, shape in _safe(files[each], where).items()}
    adapter = SafetensorsHeader(metadata={}, parameters=0, tensors=tensors)
    model = {name: shape for each in ours for name, shape in _safe(base_files[each], base.reference).items()}
    _require(misfit_of_peft(adapter, model), base, where)
    return about_peft(adapter)


def _require(misfit: str, base: ModelVersion, where: str) -> None:
    if misfit:
        hint = f"train it on {base.reference}, or name the model that it was trained on in `base`"
        raise TargetError(f"the adapter {misfit} ({base.reference})", where=where, hint=hint, lasting=True)


def _other_format(text: str, where: str) -> NoReturn:
    hint = "convert one of the two: llama.cpp serves GGUF with GGUF, vLLM safetensors with PEFT's"
    raise TargetError(text, where=where, hint=hint, lasting=True)


def gguf_header(path: Path, where: str) -> GgufHeader:
    """The header of a GGUF file. Raises TargetError for one that is cut off or damaged."""
    try:
        return read_gguf_file(path)
    except BadModelFile as error:
        hint = "bring it again, or name another file"
        raise TargetError(str(error), where=where, hint=hint, lasting=True) from error
    except OSError as error:
        raise TargetError(f"{path.name} cannot be read: {error.strerror}", where=where) from error


def _safe(path: Path, where: str) -> Mapping[str, tuple[int, ...]]:
    try:
        return read_safetensors_file(path).tensors
    except BadModelFile as error:
        hint = "write it again: it is no whole safetensors file"
        raise TargetError(f"{path.name}: {error}", where=where, hint=hint, lasting=True) from error
    except OSError as error:
        raise TargetError(f"{path.name} cannot be read: {error.strerror}", where=where) from error


def _ending(files: Files, suffix: str) -> list[str]:
    return sorted(name for name in files if name.endswith(suffix))
