"""Finds, verifies and reads the files of a language model and its adapters, the same on every target."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.kinds.llm import LlmModel, LlmResult, PreparedLlm
from plimsoll.llms.engines import ENGINES
from plimsoll.llms.settings import EndpointSettings, LlmSettings
from plimsoll.runtime.model_formats.adapters import is_adapter, misfit_of_gguf
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.adapters import gguf_header
from plimsoll.targets.models import version_for_use
from plimsoll.targets.predictors import ALONE

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion


class LlmFile(Struct, frozen=True, kw_only=True):
    """A verified version: what requests call it, the file that the engine loads, and the digests of all its files."""

    name: str
    version: ModelVersion
    path: Path
    files: dict[str, str]


def llm_files(state: StateDirectory, llm: PreparedLlm) -> list[LlmFile]:
    """The files of the model and its adapters, in the order of `llm.models`.

    Raises ModelRefused for a version that was altered or missed its bounds, TargetError for one of another format.
    """
    return [_file(state, llm, each) for each in llm.models]


def _file(state: StateDirectory, llm: PreparedLlm, model: LlmModel) -> LlmFile:
    version, files = version_for_use(state, model.reference, model.register_key)
    path = files[model_file_name(llm, version)]
    digests = {str(path): version.files[name].digest for name, path in files.items()}
    return LlmFile(name=model.name, version=version, path=path, files=digests)


def model_file_name(llm: PreparedLlm, version: ModelVersion) -> str:
    """The file of a version that the engine is told of; of a directory, the file that says what is in it.

    Raises TargetError for a version that the engine cannot read.
    """
    files = version.files
    formats = ENGINES[llm.engine].formats
    if ENGINES[llm.engine].directory:
        return _file_of_directory(llm, version)
    fitting = sorted(name for name in files if name.endswith(tuple(f".{each}" for each in formats)))
    if len(fitting) != 1:
        found = f"{len(fitting)} {formats[0]} files" if fitting else f"no {formats[0]} file"
        raise TargetError(
            f"model {version.reference} has {found} among {', '.join(sorted(files))}, and {llm.engine} reads one",
            where=f"llms.{llm.name}",
            hint=f"bring a model in the format {formats[0]}",
            lasting=True,
        )
    return fitting[0]


CONFIGURATIONS = ("config.json", "adapter_config.json")


def _file_of_directory(llm: PreparedLlm, version: ModelVersion) -> str:
    has_weights = any(name.endswith(".safetensors") for name in version.files)
    configuration = next((name for name in CONFIGURATIONS if name in version.files), "")
    if has_weights and configuration:
        return configuration
    raise TargetError(
        f"{llm.engine} reads safetensors with a config.json beside them, and model {version.reference} has "
        f"{', '.join(sorted(version.files))}",
        where=f"llms.{llm.name}",
        hint="register a model with all files of its directory, or bring GGUF for engine: llama.cpp",
        lasting=True,
    )


def llm_version(llm: PreparedLlm, files: list[LlmFile], memory: int | None) -> ModelFile:
    """A language model as an entry of a service file."""
    base = files[0] if files else None
    settings = settings_of(llm, {each.name: str(each.path) for each in files[1:]}, memory)
    # On this machine one server leads to all of them; of pods each has one.
    settings = msgspec.structs.replace(settings, replicas=llm.replicas)
    if base is None:
        return ModelFile(name=llm.name, version=ALONE, digest=f"sha256:{_digest(settings)}", llm=settings)
    digests = {path: digest for each in files for path, digest in each.files.items()}
    return entry(llm, base.version, base.path, digests, settings)


def entry(
    llm: PreparedLlm, version: ModelVersion, path: Path, digests: Mapping[str, str], settings: LlmSettings
) -> ModelFile:
    """The entry of a service file for a version of a model at a path."""
    return ModelFile(
        name=llm.name,
        version=str(version.version),
        path=str(path),
        digest=version.digest,
        files=dict(digests),
        reference=version.reference,
        llm=settings,
    )


def settings_of(llm: PreparedLlm, adapters: Mapping[str, str], memory: int | None) -> LlmSettings:
    """What a server is told of it; `adapters` are paths by name, that for all answers among them."""
    by_name = dict(adapters)
    return LlmSettings(
        engine=llm.engine,
        context=llm.context,
        slots=llm.slots,
        tokens=llm.limits.tokens,
        seconds=llm.limits.seconds,
        queue=llm.limits.queue,
        adapter=by_name.pop(llm.adapter.name) if llm.adapter is not None else "",
        adapters=by_name,
        endpoint=_endpoint(llm),
        routing=llm.routing,
        memory=memory,
    )


def _endpoint(llm: PreparedLlm) -> EndpointSettings | None:
    if llm.endpoint is None:
        return None
    key = llm.endpoint.key.env if llm.endpoint.key is not None else ""
    return EndpointSettings(url=llm.endpoint.url, model=llm.endpoint.model, key=key)


def _digest(settings: LlmSettings) -> str:
    """SHA-256 of what is known of an endpoint: which model answers there is its own matter."""
    return hashlib.sha256(msgspec.json.encode(settings.endpoint)).hexdigest()


def judged(llm: PreparedLlm, files: list[LlmFile]) -> LlmResult:
    """What the headers of the files say. Raises TargetError for a model that the settings ask too much of."""
    base, *adapters = files
    for each in adapters:
        _require_base(llm, each.version, base.version)
    references = tuple(each.version.reference for each in adapters)
    if ENGINES[llm.engine].directory:
        return LlmResult(
            engine=llm.engine,
            model=base.version.reference,
            about="safetensors",
            adapters=references,
            context=llm.context,
        )
    header = gguf_header(base.path, base.version.reference)
    architecture = str(header.values.get("general.architecture", ""))
    if is_adapter(header):
        raise _refused(llm, f"model {base.version.reference} is an adapter and no model", "name it in `adapter`")
    trained = header.values.get(f"{architecture}.context_length", 0)
    trained = trained if isinstance(trained, int) else 0
    if trained and llm.context > trained:
        text = f"the context of {llm.context} tokens is more than the {trained} that {base.version.reference} has"
        raise _refused(llm, text, f"set context: {trained} or less")
    for each in adapters:
        other = gguf_header(each.path, each.version.reference)
        if not is_adapter(other):
            raise _refused(llm, f"model {each.version.reference} is no LoRA adapter", "convert it with llama.cpp")
        if misfit := misfit_of_gguf(other, header):
            hint = f"name one that was trained on {base.version.reference}"
            raise _refused(llm, f"the adapter {each.version.reference} {misfit} ({base.version.reference})", hint)
    return LlmResult(
        engine=llm.engine,
        model=base.version.reference,
        about=architecture or "gguf",
        adapters=references,
        context=llm.context,
        trained_context=trained,
    )


def _require_base(llm: PreparedLlm, adapter: ModelVersion, base: ModelVersion) -> None:
    """Raise TargetError for an adapter that was registered for a model with other weights."""
    of = adapter.lineage.base
    if of is None or of.weights == base.weights:
        return
    serves = f"{llm.name} serves {base.reference}, whose weights are others"
    hint = f"train it on {base.reference}, or serve it with model: {of.reference}"
    raise _refused(llm, f"the adapter {adapter.reference} is of {of.reference}, and {serves}", hint)


def _refused(llm: PreparedLlm, text: str, hint: str) -> TargetError:
    return TargetError(text, where=f"llms.{llm.name}", hint=hint, lasting=True)
