"""Versions of the registry that have a person in their files, and models that were trained on their rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.decoding import UNREADABLE
from plimsoll.engine.cleaning.deletion import needs_of
from plimsoll.engine.erasing.finding import INDEX, REGISTRY, Finding, Look, TrainedOn, told
from plimsoll.errors import PlimsollError
from plimsoll.indexes.changes import Change, Journal, changes_in
from plimsoll.indexes.layout import StoredDocument
from plimsoll.indexes.names import PREFIX
from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.layout import MANIFEST, Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.opened import DIRECTORY, directory_name
from plimsoll.registry.sweeping import alone_in, sweepable
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.state.removing import remove_whole
from plimsoll.subjects.contents import Seen
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.lines import Lines
from plimsoll.subjects.texts import places
from plimsoll.targets.features import USES
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target

AGAIN = "have it replaced (plimsoll run, plimsoll up or promote), then erase again"


class Origins(Struct, frozen=True, kw_only=True):
    """What versions may be made of: keys of steps, and datasets by name with the digests that have the person.

    `present` has the digest of each source as it is now: what an earlier one had cannot be told any more.
    """

    keys: frozenset[str]
    digests: Mapping[str, frozenset[str]]
    present: Mapping[str, str]

    def of(self, version: ModelVersion) -> bool | None:
        """Whether a version was made of the person's rows; None where that cannot be told any more."""
        lineage = version.lineage
        if lineage.key in self.keys or any(digest in self.keys for digest in lineage.data.values()):
            return True
        if any(digest in self.digests.get(name, ()) for name, digest in lineage.data.items()):
            return True
        old = any(name in self.present and digest != self.present[name] for name, digest in lineage.data.items())
        return None if old else False


class Versions:
    """The registry of an application, as an erasure looks at it."""

    def __init__(self, file: ApplicationFile, target: Target) -> None:
        self._file, self._target = file, target
        self.registry: ModelRegistry = model_registry(target.state)
        self._uses = target.features.require(USES)() if USES in target.features else ()

    def trained(self, origins: Origins) -> list[TrainedOn]:
        """The versions of models that were trained on the person's rows."""
        found = []
        for version in self._versions():
            origin = origins.of(version)
            if not is_index(version) and version.lineage.origin is None and origin is not False:
                users = sorted({use.service for use in self._uses if use.reference == version.reference})
                found.append(
                    TrainedOn(
                        version=version.reference,
                        step=version.lineage.step,
                        key=version.lineage.key,
                        digest=version.digest,
                        certain=bool(origin),
                        used_by=", ".join(users),
                    )
                )
        return found

    def findings(
        self, origins: Origins, look: Look, is_of: Callable[[str], IsOf], problems: list[str]
    ) -> Iterator[Finding]:
        """Versions that have the person in their files, and blobs that belong to none."""
        if not self.registry.layout.root.is_dir():
            return
        seen = {path.name: look(path) for path in self._blobs()}
        problems += [f"registry blob {name}: {each.problem}" for name, each in seen.items() if each.problem]
        blobs = self._blobs_of_versions()
        for version in self._versions():
            has = sum((seen.get(name, Seen()) for name in blobs.get(version.digest, ())), Seen())
            ids = documents_in(self.registry, version, is_of(index_of(version.reference))) if is_index(version) else ()
            if has.found or ids or (is_index(version) and origins.of(version)):
                yield self._finding(version, told(has) or f"{len(ids) or 'perhaps some'} documents")
        reached = {name for names in blobs.values() for name in names}
        for name, each in seen.items():
            if each.found and name not in reached:
                path = str(self.registry.layout.blobs / name)
                yield Finding(place=REGISTRY, name=f"blob {name[:16]}", what=told(each), how="removed",
                              why="no version has it", path=path)  # fmt: skip

    def _finding(self, version: ModelVersion, what: str) -> Finding:
        place = INDEX if is_index(version) else REGISTRY
        application, state = self._file.application, self._target.state
        needs = list(dict.fromkeys(needs_of(version, application, state, self._target)))
        return Finding(
            place=place,
            name=version.reference,
            what=what,
            how="kept" if needs else "removed",
            why=f"needed by {'; '.join(needs)}: {AGAIN}" if needs else "",
            ids=(version.reference,),
        )

    def delete(self, reference: str) -> None:
        """Delete a version with its blobs and opened files. Raises PlimsollError."""
        version = self.registry.find(reference)
        config = self._config_of(version)
        self.registry.delete([version])
        self.sweep([config] if config else [])

    def sweep(self, opened: Sequence[str] = ()) -> None:
        """Remove blobs that nothing leads to, and the opened directories of these configs."""
        files = [file for use in self._uses for file in use.files]
        aside = self._target.state.removed
        with alone_in(self.registry):
            gone = sweepable(self.registry, used=files)
            root = self.registry.layout.root / DIRECTORY
            gone += [root / directory_name(config) for config in opened if (root / directory_name(config)).is_dir()]
            for path in dict.fromkeys(gone):
                remove_whole(path, aside)

    def documents(self, is_of: Callable[[str], IsOf]) -> dict[str, tuple[str, ...]]:
        """The person's documents in all versions of indexes, by the name of the index."""
        found: dict[str, tuple[str, ...]] = {}
        for version in self._versions():
            if is_index(version):
                name = index_of(version.reference)
                ids = documents_in(self.registry, version, is_of(name))
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), *ids)))
        return found

    def _versions(self) -> tuple[ModelVersion, ...]:
        return self.registry.versions() if self.registry.layout.root.is_dir() else ()

    def _blobs(self) -> list[Path]:
        blobs = self.registry.layout.blobs
        return sorted(path for path in blobs.iterdir() if path.is_file()) if blobs.is_dir() else []

    def _config_of(self, version: ModelVersion) -> str | None:
        manifest = self._manifest(version.digest)
        return manifest.config.digest if manifest is not None else None

    def _manifest(self, digest: str) -> Manifest | None:
        try:
            return msgspec.json.decode(self.registry.layout.path(digest).read_bytes(), type=Manifest)
        except (*UNREADABLE, OSError, PlimsollError):
            return None

    def _blobs_of_versions(self) -> dict[str, set[str]]:
        """The names of the blobs of each version with what describes it, by the digest of the version."""
        found: dict[str, set[str]] = {}
        for entry in self.registry.layout.entries():
            about = entry.annotations.get(SUBJECT_ANNOTATION, entry.digest)
            names = found.setdefault(about, set())
            names.add(self.registry.layout.path(entry.digest).name)
            manifest = self._manifest(entry.digest) if entry.media_type == MANIFEST else None
            if manifest is not None:
                names |= {self.registry.layout.path(each.digest).name for each in (manifest.config, *manifest.layers)}
        return found


class IsOf(Protocol):
    """Tells documents of the person."""

    ids: frozenset[str]
    """Those of documents that are the person's rows."""
    needles: tuple[bytes, ...]
    """Of other documents of the person, the line has one of these; without any, each is looked at."""

    def __call__(self, document: StoredDocument) -> bool:
        """Whether a document is the person's."""
        ...


class _Id(Struct, frozen=True):
    id: str


_ID, _DOCUMENT = msgspec.json.Decoder(_Id), msgspec.json.Decoder(StoredDocument)
T = TypeVar("T")


def is_index(version: ModelVersion) -> bool:
    """Whether a version is one of an index, and of no model."""
    return version.lineage.index is not None


class PersonsDocuments:
    """Tells documents of the person: by the id of the row that they are, by their own words, by their columns."""

    def __init__(self, matcher: Matcher, columns: Collection[str], ids: frozenset[str]) -> None:
        self._matcher, self._columns = matcher, columns
        self.ids, self.needles = ids, matcher.needles()

    def __call__(self, document: StoredDocument) -> bool:
        """Whether a document is the person's."""
        matcher = self._matcher
        if document.id in self.ids or matcher.matches(document.id):
            return True
        if any(name in self._columns and matcher.matches(value) for name, value in document.metadata.items()):
            return True
        return matcher.in_texts and any(places(msgspec.json.encode(document), matcher))


def changes_of_person(
    state: StateDirectory, matcher: Matcher, is_of: Callable[[str], IsOf]
) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Documents of the person in the journals of changes: the index, its journal, the ids."""
    for path in sorted(state.changes.glob("*.jsonl")) if state.changes.is_dir() else []:
        ids = tuple(
            name
            for name, change in changes_in(path).items()
            if is_of(path.stem)(_stored(change)) or (matcher.in_texts and any(places(_text(change), matcher)))
        )
        if ids:
            yield path.stem, path, ids


def documents_in(registry: ModelRegistry, version: ModelVersion, is_of: IsOf) -> tuple[str, ...]:
    """The ids of the person's documents in a registered index."""
    entry = next((entry for name, entry in version.files.items() if name.endswith("documents.jsonl")), None)
    if entry is None:
        return ()
    with registry.layout.path(entry.digest).open("rb") as file:
        return tuple(_documents(Lines(file), is_of))


def _documents(lines: Lines, is_of: IsOf) -> Iterator[str]:
    """The ids of the person's documents; of lines without a needle, the id alone is read."""
    while True:
        while others := lines.without(is_of.needles):
            if is_of.ids:
                yield from (each.id for each in _read(others, _ID) if each.id in is_of.ids)
        line = next(lines, None)
        if line is None:
            return
        yield from (each.id for each in _read(line, _DOCUMENT) if is_of(each))


def _read(lines: bytes, decoder: msgspec.json.Decoder[T]) -> Iterator[T]:
    for line in lines.split(b"\n"):
        try:
            yield decoder.decode(line)
        except UNREADABLE:
            continue


def deleted_in(journal: Path) -> frozenset[str]:
    """The ids that a journal of changes says are deleted. Raises PlimsollError."""
    return frozenset(name for name, change in changes_in(journal).items() if change.deleted)


def forget(journal: Path, ids: Sequence[str]) -> None:
    """Leave documents out of a journal altogether, which no version of the index has. Raises PlimsollError."""
    Journal(journal).forget(ids)


def hide(journal: Path, ids: Sequence[str]) -> None:
    """Delete documents in the journal of an index: searches find them no more. Raises PlimsollError."""
    Journal(journal).add([Change(id=name, deleted=True) for name in ids])


def index_of(reference: str) -> str:
    """The name of an index, by the reference of one of its versions."""
    return reference.partition("@")[0].removeprefix(PREFIX)


def _text(change: Change) -> bytes:
    return change.text.encode("utf-8", "surrogatepass")


def _stored(change: Change) -> StoredDocument:
    return StoredDocument(
        id=change.id,
        source=change.source,
        digest="",
        title=change.title,
        metadata=change.metadata,
        access=change.access,
    )
