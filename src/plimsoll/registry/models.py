"""The model registry: versions of models with all that they were made from."""

from __future__ import annotations

import difflib
import getpass
import os
import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.scalars import bound_holds
from plimsoll.decoding import decodable
from plimsoll.errors import FileError, ModelRefused, PlimsollError
from plimsoll.registry.layout import DAMAGED, MANIFEST, REFERENCE, TITLE, Descriptor, Layout, Manifest
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import KeyRing

ARTIFACT = "application/vnd.plimsoll.model.v1"
CONFIG = "application/vnd.plimsoll.model.config.v1+json"
FILE = "application/vnd.plimsoll.model.file.v1"
EMPTY = "application/vnd.oci.empty.v1+json"
SUBJECT = "dev.plimsoll.subject"
MODEL = "dev.plimsoll.model"


class Lineage(Struct, frozen=True, kw_only=True):
    """What a model was made from: digests by name of data and code, of the environment, and who did it where.

    `run` and `step` are of the run that trained it, `key` is the content key of that step.
    """

    run: str
    step: str
    key: str
    data: Mapping[str, str] = {}
    code: Mapping[str, str] = {}
    environment: str = ""
    command: str = ""
    framework: str = "none"


class FileEntry(Struct, frozen=True, kw_only=True):
    """One file of a model. `size` is in bytes."""

    digest: str
    size: int


@decodable
class _Config(Struct, frozen=True, kw_only=True):
    """What the config blob says."""

    name: str
    version: int
    created: datetime
    author: str
    metrics: Mapping[str, float]
    accept: Mapping[str, str]
    refusals: tuple[str, ...]
    lineage: Lineage


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version of a model. `digest` is of its manifest; `refusals` say which bounds it misses."""

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
        """Name and version, such as `triage@2`."""
        return f"{self.name}@{self.version}"


class OpenedModel(Struct, frozen=True, kw_only=True):
    """A model whose signature and bytes have been verified. `files` are paths by name."""

    version: ModelVersion
    signed_by: str
    files: Mapping[str, Path]


class ModelRegistry:
    """Versions in an OCI image layout. Every method may be called from several processes at once."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self.layout = Layout(root)
        self.keys = keys

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        lineage: Lineage,
        metrics: Mapping[str, float],
        accept: Mapping[str, str],
    ) -> ModelVersion:
        """Register files as the next version; the same training with the same bounds is the same version.

        Raises TargetError when the disk does not take it; what was there before is then unharmed.
        """
        with self.layout.locked():
            existing = self.versions(name)
            for version in existing:
                if version.lineage.key == lineage.key and dict(version.accept) == dict(accept):
                    return version
            config = _Config(
                name=name,
                version=max((version.version for version in existing), default=0) + 1,
                created=datetime.now(UTC),
                author=_author(),
                metrics=metrics,
                accept=accept,
                refusals=judge(metrics, accept),
                lineage=lineage,
            )
            return self._store(config, files)

    def versions(self, name: str | None = None, number: str = "") -> tuple[ModelVersion, ...]:
        """All versions, of one model or of all, oldest first. Digests of the content are checked by `open`.

        `number` narrows it to one version, whose neighbours may then be damaged.
        """
        entries = [entry for entry in self.layout.entries() if entry.artifact_type == ARTIFACT and not _is_tag(entry)]
        if name is not None:
            start = f"{name}:{number}"
            references = [(entry.annotations.get(REFERENCE, ""), entry) for entry in entries]
            entries = [entry for ref, entry in references if (ref == start if number else ref.startswith(start))]
        return tuple(sorted(map(self._described, entries), key=lambda version: (version.name, version.version)))

    def find(self, reference: str) -> ModelVersion:
        """`triage` is the newest version, `triage@2` that one, `triage:best` the one with that tag.

        Raises PlimsollError that says what there is.
        """
        if ":" in reference:
            return self._tagged(reference)
        name, _, number = reference.partition("@")
        if not number:
            self._require_newest(name)
        found = [version for version in self.versions(name, number) if number in ("", str(version.version))]
        if found:
            return found[-1]
        known = sorted({version.name for version in self.versions()})
        if name in known:
            there = ", ".join(version.reference for version in self.versions(name))
            raise PlimsollError(
                f"there is no model {reference}", where=str(self.layout.root), hint=f"there are {there}"
            )
        close = difflib.get_close_matches(name, known, n=1)
        there = f"there are {', '.join(known)}" if known else "no model has been registered: plimsoll run does"
        hint = f"did you mean '{close[0]}'?" if close else there
        raise PlimsollError(f"there is no model '{name}'", where=str(self.layout.root), hint=hint)

    def tag(self, version: ModelVersion, tag: str) -> None:
        """Let `name:tag` stand for a version; a tag that is there moves. Raises FileError for what cannot be a tag.

        A tag is a pointer and not signed: what it leads to is.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_.-]{0,62}", tag):
            hint = "a tag starts with a small letter and has small letters, digits, '.', '_' and '-'"
            raise FileError(f"'{tag}' cannot be a tag", hint=hint)
        name = f"{version.name}:{tag}"
        with self.layout.locked():
            entries = [entry for entry in self.layout.entries() if entry.annotations.get(REFERENCE) != name]
            (listed,) = [entry for entry in entries if _is_version(entry, version)]
            self.layout.write_entries([*entries, replace(listed, annotations={REFERENCE: name})])

    def tags(self) -> dict[str, list[str]]:
        """Tags by the digest of the version that they stand for."""
        found: dict[str, list[str]] = {}
        for entry in self.layout.entries():
            if entry.artifact_type == ARTIFACT and _is_tag(entry):
                found.setdefault(entry.digest, []).append(entry.annotations[REFERENCE].partition(":")[2])
        return found

    def _tagged(self, reference: str) -> ModelVersion:
        tagged = [entry for entry in self.layout.entries() if entry.annotations.get(REFERENCE) == reference]
        found = [
            version
            for version in self.versions(reference.partition(":")[0])
            if tagged and version.digest == tagged[0].digest
        ]
        if not found:
            known = ", ".join(sorted(tag for tags in self.tags().values() for tag in tags))
            hint = f"its tags are {known}" if known else "no version has a tag: plimsoll models triage@1 --tag best"
            raise PlimsollError(f"there is no {reference}", where=str(self.layout.root), hint=hint)
        return found[0]

    def _require_newest(self, name: str) -> None:
        """Raise ModelRefused when a signature is for a version that is not listed: find must not fall back."""
        entries = self.layout.entries()
        numbered = [entry for entry in entries if entry.artifact_type == ARTIFACT and not _is_tag(entry)]
        listed = {entry.digest for entry in numbered if entry.annotations.get(REFERENCE, "").startswith(f"{name}:")}
        for entry in entries:
            annotations = entry.annotations
            if annotations.get(MODEL) == name and annotations.get(SUBJECT) not in listed:
                message = f"a version of '{name}' is signed and no longer listed"
                raise ModelRefused(message, where=str(self.layout.root / "index.json"), hint=DAMAGED)

    def open(self, version: ModelVersion) -> OpenedModel:
        """Verify signature, manifest, config and every file, and give the files under their names.

        Raises ModelRefused that names what was altered or is missing.
        """
        manifest_entry, _ = self._entries_of(version)
        envelope = self.envelope(version)
        signed_by = signing.verify(envelope, version.reference, version.digest, self.keys)
        manifest = self._manifest(manifest_entry, f"the manifest of {version.reference}")
        if self._described(manifest_entry) != version:
            raise ModelRefused(f"{version.reference} has changed while it was used", where=str(self.layout.root))
        for layer in manifest.layers:
            self.layout.check(layer, f"{layer.annotations.get(TITLE, 'a file')} of {version.reference}")
        return OpenedModel(version=version, signed_by=signed_by, files=self._named(manifest))

    def envelope(self, version: ModelVersion) -> bytes:
        """The first signature of a version, as a DSSE envelope, still to be verified. Raises ModelRefused."""
        _, signature_entry = self._entries_of(version)
        signature = self._manifest(signature_entry, f"the signature of {version.reference}")
        if signature.subject is None or signature.subject.digest != version.digest or len(signature.layers) != 1:
            raise ModelRefused(f"{version.reference} is not signed", where=str(self.layout.root), hint=DAMAGED)
        self.layout.check(signature.config, f"the signature of {version.reference}")
        return self.layout.read(signature.layers[0], f"the signature of {version.reference}")

    def statements(self, version: ModelVersion) -> tuple[Descriptor, ...]:
        """Manifests that say something about a version: its signatures, and whatever else was attested."""
        return tuple(entry for entry in self.layout.entries() if entry.annotations.get(SUBJECT) == version.digest)

    def adopt(self, version: ModelVersion, manifest: Descriptor, statements: tuple[Descriptor, ...]) -> None:
        """List a version whose blobs have been put here and verified; under the number that it was made with.

        Raises ModelRefused when another model has that number here.
        """
        reference = f"{version.name}:{version.version}"
        with self.layout.locked():
            entries = self.layout.entries()
            here = [entry for entry in entries if entry.annotations.get(REFERENCE) == reference]
            if any(entry.digest != version.digest for entry in here):
                hint = "pull it into a registry of its own; numbers are given where a model is trained"
                raise ModelRefused(f"there is another {version.reference} here", where=str(self.layout.root), hint=hint)
            added = [] if here else [replace(manifest, artifact_type=ARTIFACT, annotations={REFERENCE: reference})]
            about = {SUBJECT: version.digest, MODEL: version.name}
            known = {entry.digest for entry in entries}
            added += [replace(each, annotations=about) for each in statements if each.digest not in known]
            if added:
                self.layout.write_entries([*entries, *added])

    def _store(self, config: _Config, files: Mapping[str, Path]) -> ModelVersion:
        reference = f"{config.name}@{config.version}"
        layers = tuple(
            self.layout.add_file(path, FILE, annotations={TITLE: name}) for name, path in sorted(files.items())
        )
        manifest = Manifest(
            artifact_type=ARTIFACT,
            config=self.layout.add_bytes(msgspec.json.encode(config), CONFIG),
            layers=layers,
        )
        annotations = {REFERENCE: f"{config.name}:{config.version}"}
        entry = self.layout.add_bytes(manifest.encoded(), MANIFEST, artifact_type=ARTIFACT, annotations=annotations)
        envelope = signing.sign(reference, entry.digest, msgspec.to_builtins(config.lineage), self.keys)
        signature = Manifest(
            artifact_type=signing.ENVELOPE_TYPE,
            config=self.layout.add_bytes(b"{}", EMPTY),
            layers=(self.layout.add_bytes(envelope, signing.ENVELOPE_TYPE),),
            subject=Descriptor(media_type=MANIFEST, digest=entry.digest, size=entry.size),
        )
        signed = self.layout.add_bytes(
            signature.encoded(),
            MANIFEST,
            artifact_type=signing.ENVELOPE_TYPE,
            annotations={SUBJECT: entry.digest, MODEL: config.name},
        )
        self.layout.write_entries([*self.layout.entries(), entry, signed])
        return self._described(entry)

    def _entries_of(self, version: ModelVersion) -> tuple[Descriptor, Descriptor]:
        """The index entries of a version's manifest and of its signature."""
        entries = self.layout.entries()
        reference = f"{version.name}:{version.version}"
        manifests = [entry for entry in entries if entry.annotations.get(REFERENCE) == reference]
        signatures = [entry for entry in entries if entry.annotations.get(SUBJECT) == version.digest]
        if len(manifests) != 1 or manifests[0].digest != version.digest:
            raise ModelRefused(f"the index has another {version.reference}", where=str(self.layout.root), hint=DAMAGED)
        if not signatures:
            raise ModelRefused(f"{version.reference} is not signed", where=str(self.layout.root), hint=DAMAGED)
        return manifests[0], signatures[0]

    def _manifest(self, entry: Descriptor, what: str) -> Manifest:
        try:
            return msgspec.json.decode(self.layout.read(entry, what), type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelRefused(f"{what} is no manifest: {error}", where=entry.digest, hint=DAMAGED) from error

    def _described(self, entry: Descriptor) -> ModelVersion:
        """What an index entry stands for; its manifest and config must be whole."""
        reference = entry.annotations.get(REFERENCE, "?")
        manifest = self._manifest(entry, f"the manifest of {reference}")
        version = described(manifest, self.layout.read(manifest.config, f"the config of {reference}"), entry.digest)
        if reference != f"{version.name}:{version.version}":
            message = f"the index calls {reference} what is {version.name}:{version.version}"
            raise ModelRefused(message, where=str(self.layout.root), hint=DAMAGED)
        return version

    def _named(self, manifest: Manifest) -> dict[str, Path]:
        """The verified blobs under their own names: the same bytes on disk, linked and not copied where it can be."""
        directory = self.layout.root / "opened" / manifest.config.digest.removeprefix("sha256:")[:32]
        named = {}
        for layer in manifest.layers:
            title = checked_title(layer)
            path, blob = directory / title, self.layout.path(layer.digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or not path.samefile(blob):
                # Services and batches open the same model at the same time, from threads and processes.
                temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
                try:
                    os.link(blob, temporary)
                except OSError:
                    # A file system without hard links.
                    shutil.copyfile(blob, temporary)
                temporary.replace(path)
                # A rename onto another link of the same file does nothing, says POSIX.
                temporary.unlink(missing_ok=True)
            named[str(title)] = path
        return named


def described(manifest: Manifest, config: bytes, digest: str) -> ModelVersion:
    """What a manifest and its config say, both held against their digests by the caller. Raises ModelRefused."""
    try:
        about = msgspec.json.decode(config, type=_Config)
        files = {layer.annotations[TITLE]: FileEntry(digest=layer.digest, size=layer.size) for layer in manifest.layers}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        raise ModelRefused(f"the config of a model cannot be read: {error}", where=digest, hint=DAMAGED) from error
    return ModelVersion(
        name=about.name,
        version=about.version,
        digest=digest,
        created=about.created,
        author=about.author,
        framework=about.lineage.framework,
        metrics=about.metrics,
        accept=about.accept,
        accepted=not about.refusals,
        refusals=about.refusals,
        lineage=about.lineage,
        files=files,
    )


def checked_title(layer: Descriptor) -> PurePosixPath:
    """The path of a model's file below its directory. Raises ModelRefused for one that leads out of it."""
    title = PurePosixPath(layer.annotations.get(TITLE, ""))
    if title.is_absolute() or ".." in title.parts or not title.parts:
        raise ModelRefused(f"a file of the model is called '{title}', outside its directory")
    return title


def _is_tag(entry: Descriptor) -> bool:
    """Whether an index entry stands under a tag and not under a version's number."""
    return not entry.annotations.get(REFERENCE, "").rpartition(":")[2].isdigit()


def _is_version(entry: Descriptor, version: ModelVersion) -> bool:
    return entry.annotations.get(REFERENCE) == f"{version.name}:{version.version}"


def _author() -> str:
    """Who registers, for the record; a process without a user's name is `nobody`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "nobody"
    return f"{name}@{socket.gethostname()}"


def judge(metrics: Mapping[str, float], accept: Mapping[str, str]) -> tuple[str, ...]:
    """Which bounds are missed, in words; none when the model may be served."""
    refusals = []
    for name, bound in accept.items():
        if name not in metrics:
            refusals.append(f"{name} was not measured, wanted {bound}")
        elif not bound_holds(bound, metrics[name]):
            refusals.append(f"{name} is {metrics[name]:.6g}, wanted {bound}")
    return tuple(refusals)


def require_accepted(version: ModelVersion) -> None:
    """Raise ModelRefused for a version that misses its bounds."""
    if not version.accepted:
        raise ModelRefused(
            f"model {version.reference} may not be served: {'; '.join(version.refusals)}",
            hint="train a better model, loosen `accept`, or name an accepted version: plimsoll models lists them",
        )
