"""One version of a model: its lineage, its files, its metrics and whether it may be served. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from plimsoll.application.licences import is_allowed
from plimsoll.application.scalars import bound_holds
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused
from plimsoll.registry.layout import RESTORE_HINT, TITLE_ANNOTATION, Descriptor, Manifest


class Origin(Struct, frozen=True, kw_only=True):
    """Where a model that was not trained here is from, what it is by its bytes, and its licence with who says so.

    `sha256` is that of the model file. `licences` are those that were accepted; empty when any was.
    """

    source: str
    sha256: str = ""
    format: str = ""
    about: str = ""
    licence: str = ""
    licence_from: str = ""
    licences: tuple[str, ...] = ()


class Indexed(Struct, frozen=True, kw_only=True):
    """What an index was built with: how it is searched, its chunks, what of its part of the file was set, its embedder.

    `embedder` is the version of the model that embedded it, and `embedder_digest` that of the model and its tokenizer;
    both are empty for an index without vectors. `reranker` is the version of the model that puts the best passages in
    order. `store` says where the vectors are that are in no file of the index. Of each document, `documents.jsonl` of
    the index has the digest.
    """

    search: str
    tokens: int
    overlap: int
    settings: Mapping[str, str] = {}
    embedder: str = ""
    embedder_digest: str = ""
    reranker: str = ""
    store: str = ""


class AdapterOf(Struct, frozen=True, kw_only=True):
    """The version that an adapter is of, and what the adapter is, such as "llama, LoRA of rank 16 on 60 tensors".

    `digest` is that of the version's manifest, `weights` are those of its files with weights: versions that differ in
    their bounds alone have the same.
    """

    reference: str
    digest: str
    weights: tuple[str, ...]
    about: str = ""


class Lineage(Struct, frozen=True, kw_only=True):
    """The origin of a model: digests of data and code by name, the digest of the environment, and the training run.

    `run` and `step` name the run that trained the model. `key` is the content key of that step. `commit` is that of the
    application's repository when the training began, empty outside of one, and `dirty` says that the code differed from
    it. `left_out` says of the files of the code that are not stored with the version why. `origin` is set for a model
    that was brought, `index` for a search index, `base` for an adapter.
    """

    run: str
    step: str
    key: str
    data: Mapping[str, str] = {}
    code: Mapping[str, str] = {}
    environment: str = ""
    command: str = ""
    framework: str = "none"
    commit: str = ""
    dirty: bool = False
    left_out: Mapping[str, str] = {}
    origin: Origin | None = None
    index: Indexed | None = None
    base: AdapterOf | None = None

    @property
    def base_weights(self) -> tuple[str, ...]:
        """The weights that an adapter is of; none for a model."""
        return self.base.weights if self.base is not None else ()


WEIGHTS = (".gguf", ".safetensors")
"""Endings of files with weights that an adapter changes."""


class FileEntry(Struct, frozen=True, kw_only=True):
    """One file of a model. `size` is in bytes."""

    digest: str
    size: int


@decodable
class ModelConfig(Struct, frozen=True, kw_only=True):
    """The content of the config blob. `ModelVersion` adds the digest and the files, which are in the manifest."""

    name: str
    version: int
    created: datetime
    author: str
    metrics: Mapping[str, float]
    accept: Mapping[str, str]
    refusals: tuple[str, ...]
    lineage: Lineage


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version of a model. `digest` is the manifest's. `refusals` has a sentence for each bound that is missed."""

    name: str
    version: int
    digest: str
    created: datetime
    author: str
    framework: str
    metrics: Mapping[str, float]
    accept: Mapping[str, str]
    accepted: bool
    refusals: tuple[str, ...]
    lineage: Lineage
    files: Mapping[str, FileEntry]

    @property
    def reference(self) -> str:
        """Name and version, for example `triage@2`."""
        return f"{self.name}@{self.version}"

    @property
    def weights(self) -> tuple[str, ...]:
        """The digests of its files with weights, in order."""
        return tuple(sorted(entry.digest for name, entry in self.files.items() if name.endswith(WEIGHTS)))


class OpenedModel(Struct, frozen=True, kw_only=True):
    """A model whose signature and files have been verified. `files` maps names to paths on this disk."""

    version: ModelVersion
    signed_by: str
    files: Mapping[str, Path]


def decode_version(manifest: Manifest, config: bytes, digest: str) -> ModelVersion:
    """Build a version from its manifest and config. The caller has checked both against their digests.

    Raises ModelRefused when the config cannot be read.
    """
    try:
        decoded = msgspec.json.decode(config, type=ModelConfig)
        files = {
            layer.annotations[TITLE_ANNOTATION]: FileEntry(digest=layer.digest, size=layer.size)
            for layer in manifest.layers
        }
    except (*UNREADABLE, KeyError) as error:
        raise ModelRefused(f"cannot read the model's config: {error}", where=digest, hint=RESTORE_HINT) from error
    return ModelVersion(
        name=decoded.name,
        version=decoded.version,
        digest=digest,
        created=decoded.created,
        author=decoded.author,
        framework=decoded.lineage.framework,
        metrics=decoded.metrics,
        accept=decoded.accept,
        accepted=not decoded.refusals,
        refusals=decoded.refusals,
        lineage=decoded.lineage,
        files=files,
    )


def safe_file_path(layer: Descriptor) -> PurePosixPath:
    """The path of a model file, relative to the model's directory. Raises ModelRefused when it leaves the directory."""
    path = PurePosixPath(layer.annotations.get(TITLE_ANNOTATION, ""))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ModelRefused(f"the model has a file '{path}' outside its directory")
    return path


def missed_bounds(metrics: Mapping[str, float], accept: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each bound that the metrics miss. Empty when the model may be served."""
    refusals = []
    for name, bound in accept.items():
        if name not in metrics:
            refusals.append(f"{name} was not measured, expected {bound}")
        elif not bound_holds(bound, metrics[name]):
            refusals.append(f"{name} is {metrics[name]:.6g}, expected {bound}")
    return tuple(refusals)


def missed_licence(origin: Origin | None) -> tuple[str, ...]:
    """A sentence when the licence of a brought model is not among those that are accepted."""
    if origin is None or not origin.licences or is_allowed(origin.licence, origin.licences):
        return ()
    allowed = ", ".join(origin.licences)
    return (f"its licence is {origin.licence or 'not known'}, expected {allowed}",)


def require_accepted(version: ModelVersion) -> None:
    """Raise ModelRefused for a version that misses its bounds."""
    if not version.accepted:
        raise ModelRefused(
            f"model {version.reference} may not be served: {'; '.join(version.refusals)}",
            hint="train a better model, loosen `accept`, or name an accepted version: plimsoll models lists them",
        )
