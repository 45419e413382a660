"""The model registry: signed model versions in an OCI image layout on this disk."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.errors import ModelRefused, PlimsollError, TargetError
from plimsoll.registry.attestations import ATTESTATION_ARTIFACT
from plimsoll.registry.author import current_author
from plimsoll.registry.blocks import BlockedVersions
from plimsoll.registry.code import CODE_ARTIFACT, add_code
from plimsoll.registry.deleted import (
    DATE_ANNOTATION,
    DIGEST_ANNOTATION,
    deleted_version,
    highest_deleted,
    without_versions,
)
from plimsoll.registry.index_entries import (
    MODEL_ANNOTATION,
    MODEL_ARTIFACT,
    SUBJECT_ANNOTATION,
    is_entry_of,
    is_numbered,
    is_tag,
    require_newest,
    require_tag,
    tags_of,
)
from plimsoll.registry.index_statement import IndexStatement
from plimsoll.registry.layout import (
    EMPTY_CONFIG,
    MANIFEST,
    REFERENCE_ANNOTATION,
    RESTORE_HINT,
    TITLE_ANNOTATION,
    Descriptor,
    Layout,
    Manifest,
    encoded_index,
)
from plimsoll.registry.opened import has_files, link_files
from plimsoll.registry.versions import (
    Lineage,
    ModelConfig,
    ModelVersion,
    OpenedModel,
    decode_version,
    missed_bounds,
    missed_licence,
    require_accepted,
)
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import KeyRing

MODEL_CONFIG = "application/vnd.plimsoll.model.config.v1+json"
MODEL_FILE = "application/vnd.plimsoll.model.file.v1"


class ModelRegistry:
    """Model versions in an OCI image layout. Several processes may call every method at the same time."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self.layout = Layout(root)
        self.keys = keys
        self._statement = IndexStatement(root, keys)

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        lineage: Lineage,
        metrics: Mapping[str, float],
        accept: Mapping[str, str],
        refusals: Collection[str] = (),
        code: Mapping[str, Path] | None = None,
        anew: bool = False,
    ) -> ModelVersion:
        """Register files as the next version. The same training with the same bounds returns the existing version.

        `anew` returns it only when it has the same files too. `code` are files of the lineage's code, stored with it.
        `refusals` are reasons, besides bounds and licence, why it may not be used.

        Raises TargetError when the disk cannot be written. Existing versions are then unharmed.
        """
        with self.layout.locked():
            # A version that is missing here would get its number a second time.
            self._statement.require()
            existing = self.versions(name)
            for version in existing:
                same = (version.lineage.key, version.lineage.origin) == (lineage.key, lineage.origin)
                same = same and version.lineage.base_weights == lineage.base_weights
                same = same and dict(version.accept) == dict(accept)
                if same and (not anew or has_files(version, files)):
                    return version
            config = ModelConfig(
                name=name,
                version=max((*(each.version for each in existing), highest_deleted(self.layout.entries(), name))) + 1,
                created=datetime.now(UTC),
                author=current_author(),
                metrics=metrics,
                accept=accept,
                refusals=(*missed_bounds(metrics, accept), *missed_licence(lineage.origin), *refusals),
                lineage=lineage,
            )
            return self._store_version(config, files, code or {})

    def versions(self, name: str | None = None, number: str = "") -> tuple[ModelVersion, ...]:
        """All versions of one model or of all models, oldest first. `open` checks the digests of the files.

        `number` selects one version. The other versions of the model may then be damaged.
        """
        entries = [entry for entry in self.layout.entries() if is_numbered(entry)]
        if name is not None:
            start = f"{name}:{number}"
            names = [(entry.annotations.get(REFERENCE_ANNOTATION, ""), entry) for entry in entries]
            entries = [entry for found, entry in names if (found == start if number else found.startswith(start))]
        return tuple(sorted(map(self._version_of_entry, entries), key=lambda version: (version.name, version.version)))

    def find(self, reference: str) -> ModelVersion:
        """Find a version: `triage` is the newest, `triage@2` is version 2, `triage:best` has the tag `best`.

        Raises PlimsollError that lists the existing models, versions or tags.
        """
        if ":" in reference:
            self.require_index()
            return self._find_by_tag(reference)
        name, _, number = reference.partition("@")
        if not number:
            require_newest(self.layout.entries(), name, self.layout.root)
        found = [version for version in self.versions(name, number) if number in ("", str(version.version))]
        if not number:
            self.require_index()
        if found:
            return found[-1]
        known = sorted({version.name for version in self.versions()})
        if gone := deleted_version(self.layout.entries(), name, number):
            message = f"{reference} was deleted on {gone.annotations.get(DATE_ANNOTATION, 'an unknown day')}"
            raise PlimsollError(message, where=str(self.layout.root), hint="name another version: plimsoll models")
        if name in known:
            listed = ", ".join(version.reference for version in self.versions(name))
            message = f"there is no model {reference}"
            raise PlimsollError(message, where=str(self.layout.root), hint=f"the versions are {listed}")
        close = difflib.get_close_matches(name, known, n=1)
        listed = f"the models are {', '.join(known)}" if known else "no model is registered yet: plimsoll run adds one"
        hint = f"did you mean '{close[0]}'?" if close else listed
        raise PlimsollError(f"there is no model '{name}'", where=str(self.layout.root), hint=hint)

    def tag(self, version: ModelVersion, tag: str) -> None:
        """Give a version the tag `name:tag`. An existing tag moves. Raises FileError for an invalid tag.

        A tag is an entry of the index, which is signed as a whole. Raises ModelRefused when the index is not.
        """
        require_tag(tag)
        name = f"{version.name}:{tag}"
        with self.layout.locked():
            self._statement.require()
            entries = [entry for entry in self.layout.entries() if entry.annotations.get(REFERENCE_ANNOTATION) != name]
            (listed,) = [entry for entry in entries if is_entry_of(entry, version)]
            self._write([*entries, replace(listed, annotations={REFERENCE_ANNOTATION: name})])

    def delete(self, versions: Collection[ModelVersion]) -> None:
        """Take versions off the index, with their signatures; their numbers are not given again.

        Their blobs stay until they are swept. Raises PlimsollError for a version with a tag, and ModelRefused when the
        index is not the newest that was signed.
        """
        with self.layout.locked():
            self._statement.require()
            entries = self.layout.entries()
            for version in versions:
                self._manifest_of(version)
                if tags := tags_of(entries, version):
                    message = f"{version.reference} has the tag {', '.join(tags)}"
                    hint = f"give it to another version first: plimsoll models {version.name}@VERSION --tag {tags[0]}"
                    raise PlimsollError(message, where=str(self.layout.root), hint=hint)
            if versions:
                self._write(
                    without_versions(entries, versions, self.layout.add_bytes(b"{}", EMPTY_CONFIG), datetime.now(UTC))
                )

    def require_index(self) -> None:
        """Raise ModelRefused unless the index is the newest that was signed: tags and bare names lead where it says."""
        try:
            self._statement.require()
        except ModelRefused as refused:
            # Perhaps it is being written.
            try:
                with self.layout.locked():
                    self._statement.require()
            except TargetError:
                raise refused from None

    def accept_index(self) -> None:
        """Sign the index as it is. Raises ModelRefused when it cannot be read."""
        with self.layout.locked():
            self._write(self.layout.entries())

    def countersign(self, version: ModelVersion) -> None:
        """Sign a version with the present signing key too. Raises ModelRefused when no trusted key has signed it.

        What is signed is the digest of the manifest, which has those of the files: no file is read again.
        """
        self._trusted_envelope(version)
        with self.layout.locked():
            self._statement.require()
            entry = self._manifest_of(version)
            if self._version_of_entry(entry) != version:
                raise ModelRefused(f"{version.reference} changed while it was signed", where=str(self.layout.root))
            signed = self._sign(version.name, version.reference, entry, msgspec.to_builtins(version.lineage))
            self._list([signed])

    def attach(self, version: ModelVersion, attestations: Collection[Descriptor]) -> None:
        """List attestations of a version, whose blobs are in the layout. Raises ModelRefused."""
        with self.layout.locked():
            self._statement.require()
            self._manifest_of(version)
            self._list(attestations)

    def _list(self, new: Collection[Descriptor]) -> None:
        """Add entries that are not listed yet. The caller must hold the lock."""
        entries = self.layout.entries()
        known = {entry.digest for entry in entries}
        if added := [each for each in new if each.digest not in known]:
            self._write([*entries, *added])

    def _write(self, entries: list[Descriptor]) -> None:
        """Replace the index, signed. The caller must hold the lock."""
        self._statement.prepare(encoded_index(entries))
        self.layout.write_entries(entries)
        self._statement.require()

    def tags(self) -> dict[str, list[str]]:
        """Map the digest of each tagged version to its tags."""
        found: dict[str, list[str]] = {}
        for entry in self.layout.entries():
            if entry.artifact_type == MODEL_ARTIFACT and is_tag(entry):
                found.setdefault(entry.digest, []).append(entry.annotations[REFERENCE_ANNOTATION].partition(":")[2])
        return found

    @property
    def blocked(self) -> BlockedVersions:
        """The versions that are in quarantine."""
        return BlockedVersions(self.layout.root, self.keys)

    def require_servable(self, version: ModelVersion) -> None:
        """Raise ModelRefused for a version that misses its bounds, or is in quarantine."""
        require_accepted(version)
        self.blocked.require_free(version)

    def open(self, version: ModelVersion) -> OpenedModel:
        """Verify the signature, the manifest, the config and every file. The result has the files under their names.

        Raises ModelRefused that names the altered or missing part.
        """
        with self.layout.reading():
            return self._open(version)

    def _open(self, version: ModelVersion) -> OpenedModel:
        manifest_entry = self._manifest_of(version)
        _, signed_by = self._trusted_envelope(version)
        manifest = self.layout.manifest(manifest_entry, f"the manifest of {version.reference}")
        if self._version_of_entry(manifest_entry) != version:
            raise ModelRefused(f"{version.reference} changed while it was opened", where=str(self.layout.root))
        for layer in manifest.layers:
            self.layout.check(layer, f"{layer.annotations.get(TITLE_ANNOTATION, 'a file')} of {version.reference}")
        return OpenedModel(version=version, signed_by=signed_by, files=link_files(self.layout, manifest))

    def envelope(self, version: ModelVersion) -> bytes:
        """The first signature of a version by a trusted key: a DSSE envelope. Raises ModelRefused without one."""
        return self._trusted_envelope(version)[0]

    def signer(self, version: ModelVersion) -> str:
        """The id of the trusted key that has signed a version. Raises ModelRefused without one; `open` checks files."""
        return self._trusted_envelope(version)[1]

    def _trusted_envelope(self, version: ModelVersion) -> tuple[bytes, str]:
        """The first signature that a trusted key has made for a version, and the id of that key.

        A version may have several: others', and those of keys before the present one. Raises ModelRefused.
        """
        refused = ModelRefused(f"{version.reference} is not signed", where=str(self.layout.root), hint=RESTORE_HINT)
        for number, entry in enumerate(self._signatures_of(version)):
            try:
                envelope = self._envelope_of(version, entry)
                return envelope, signing.verify(envelope, version.reference, version.digest, self.keys)
            except ModelRefused as error:
                refused = error if not number else refused
        raise refused

    def _envelope_of(self, version: ModelVersion, entry: Descriptor) -> bytes:
        signature = self.layout.manifest(entry, f"the signature of {version.reference}")
        if signature.subject is None or signature.subject.digest != version.digest or len(signature.layers) != 1:
            raise ModelRefused(f"{version.reference} is not signed", where=str(self.layout.root), hint=RESTORE_HINT)
        self.layout.check(signature.config, f"the signature of {version.reference}")
        return self.layout.read(signature.layers[0], f"the signature of {version.reference}")

    def attestations(self, version: ModelVersion) -> tuple[Descriptor, ...]:
        """The manifests that describe a version: its signatures and all other attestations."""
        entries = self.layout.entries()
        return tuple(entry for entry in entries if entry.annotations.get(SUBJECT_ANNOTATION) == version.digest)

    def add_pulled(self, version: ModelVersion, manifest: Descriptor, attestations: tuple[Descriptor, ...]) -> None:
        """List a version under the number that it was trained with. Its blobs are verified and already in the layout.

        Raises ModelRefused when another model has that number here.
        """
        reference = f"{version.name}:{version.version}"
        with self.layout.locked():
            self._statement.require()
            entries = self.layout.entries()
            same_number = [entry for entry in entries if entry.annotations.get(REFERENCE_ANNOTATION) == reference]
            gone = deleted_version(entries, version.name, str(version.version))
            was = gone.annotations.get(DIGEST_ANNOTATION) if gone else version.digest
            if was != version.digest or any(entry.digest != version.digest for entry in same_number):
                hint = "pull it into an empty registry: the registry that trains a model numbers its versions"
                raise ModelRefused(
                    f"this registry has another {version.reference}", where=str(self.layout.root), hint=hint
                )
            listed = replace(manifest, artifact_type=MODEL_ARTIFACT, annotations={REFERENCE_ANNOTATION: reference})
            added = [] if same_number else [listed]
            annotations = {SUBJECT_ANNOTATION: version.digest, MODEL_ANNOTATION: version.name}
            known = {entry.digest for entry in entries}
            new = [each for each in attestations if each.digest not in known]
            added += [replace(each, annotations=each.annotations | annotations) for each in new]
            if added:
                self._write([*entries, *added])

    def _find_by_tag(self, reference: str) -> ModelVersion:
        tagged = [entry for entry in self.layout.entries() if entry.annotations.get(REFERENCE_ANNOTATION) == reference]
        versions = self.versions(reference.partition(":")[0]) if tagged else ()
        found = [version for version in versions if version.digest == tagged[0].digest]
        if not found:
            known = ", ".join(sorted(tag for tags in self.tags().values() for tag in tags))
            hint = f"its tags are {known}" if known else "no version has a tag: plimsoll models triage@1 --tag best"
            raise PlimsollError(f"there is no model {reference}", where=str(self.layout.root), hint=hint)
        return found[0]

    def _store_version(self, config: ModelConfig, files: Mapping[str, Path], code: Mapping[str, Path]) -> ModelVersion:
        reference = f"{config.name}@{config.version}"
        manifest = Manifest(
            artifact_type=MODEL_ARTIFACT,
            config=self.layout.add_bytes(msgspec.json.encode(config), MODEL_CONFIG),
            layers=tuple(
                self.layout.add_file(path, MODEL_FILE, annotations={TITLE_ANNOTATION: name})
                for name, path in sorted(files.items())
            ),
        )
        entry = self.layout.add_bytes(
            manifest.encoded(),
            MANIFEST,
            artifact_type=MODEL_ARTIFACT,
            annotations={REFERENCE_ANNOTATION: f"{config.name}:{config.version}"},
        )
        signed = self._sign(config.name, reference, entry, msgspec.to_builtins(config.lineage))
        annotations = {SUBJECT_ANNOTATION: entry.digest, MODEL_ANNOTATION: config.name}
        stored = add_code(self.layout, entry, self.layout.add_bytes(b"{}", EMPTY_CONFIG), code, annotations)
        self._write([*self.layout.entries(), entry, signed, *([stored] if stored else [])])
        return self._version_of_entry(entry)

    def _sign(self, name: str, reference: str, entry: Descriptor, lineage: object) -> Descriptor:
        """Add the blobs of a signature of a version's manifest. Returns the entry for the index."""
        envelope = signing.sign(reference, entry.digest, lineage, self.keys)
        signature = Manifest(
            artifact_type=signing.ENVELOPE_TYPE,
            config=self.layout.add_bytes(b"{}", EMPTY_CONFIG),
            layers=(self.layout.add_bytes(envelope, signing.ENVELOPE_TYPE),),
            subject=Descriptor(media_type=MANIFEST, digest=entry.digest, size=entry.size),
        )
        return self.layout.add_bytes(
            signature.encoded(),
            MANIFEST,
            artifact_type=signing.ENVELOPE_TYPE,
            annotations={SUBJECT_ANNOTATION: entry.digest, MODEL_ANNOTATION: name},
        )

    def _manifest_of(self, version: ModelVersion) -> Descriptor:
        """The index entry of a version's manifest. Raises ModelRefused when the index has another."""
        reference = f"{version.name}:{version.version}"
        entries = self.layout.entries()
        manifests = [entry for entry in entries if entry.annotations.get(REFERENCE_ANNOTATION) == reference]
        if len(manifests) != 1 or manifests[0].digest != version.digest:
            message = f"the index has another {version.reference}"
            raise ModelRefused(message, where=str(self.layout.root), hint=RESTORE_HINT)
        return manifests[0]

    def _signatures_of(self, version: ModelVersion) -> list[Descriptor]:
        """The index entries of a version's signatures, at most `signing.MAX_SIGNATURES`: each costs reads."""
        entries = self.layout.entries()
        about = [entry for entry in entries if entry.annotations.get(SUBJECT_ANNOTATION) == version.digest]
        others = (CODE_ARTIFACT, ATTESTATION_ARTIFACT)
        return [entry for entry in about if entry.artifact_type not in others][: signing.MAX_SIGNATURES]

    def _version_of_entry(self, entry: Descriptor) -> ModelVersion:
        """Read the version of an index entry. Raises ModelRefused when its manifest or config is damaged."""
        reference = entry.annotations.get(REFERENCE_ANNOTATION, "?")
        manifest = self.layout.manifest(entry, f"the manifest of {reference}")
        config = self.layout.read(manifest.config, f"the config of {reference}")
        version = decode_version(manifest, config, entry.digest)
        if reference != f"{version.name}:{version.version}":
            message = f"the index lists {version.name}:{version.version} as {reference}"
            raise ModelRefused(message, where=str(self.layout.root), hint=RESTORE_HINT)
        return version
