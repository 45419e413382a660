"""Push models to a registry; pull them into a layout or a directory, verified before use.

    with Repository(parse("registry.example/shop/triage")) as repository:
        pushed = push_model(models, models.find("triage"), repository)     # registry.example/shop/triage@sha256:…
    with Repository(pushed) as repository:
        version = pull_model(repository, pushed.digest, models)            # into another layout
        pulled = pull_files(repository, pushed.digest, keys, Path("/models/triage"))   # into a directory

The manifest and its digest are the same everywhere. Signatures and other attestations are referrers of the manifest.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import flush
from plimsoll.registry.attestations import (
    ATTESTATION_ARTIFACT,
    PREDICATE_ANNOTATION,
    read_attestation_manifest,
    verified,
)
from plimsoll.registry.code import CODE_ARTIFACT, read_code_manifest
from plimsoll.registry.layout import MANIFEST, Descriptor, Layout, Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.partial_files import LOCK_LIMIT
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.verification import (
    MAX_ATTESTATIONS,
    SignedModel,
    check_directory,
    fetch_signed_model,
    write_proof,
)
from plimsoll.registry.versions import ModelVersion, safe_file_path
from plimsoll.signing.keys import TrustedKeys

PARALLEL_BLOBS = 4
"""Blobs that are transferred at the same time: enough to fill a link, few enough for a registry."""


FileSource: TypeAlias = Callable[[Descriptor, Path], bool]
"""Makes the file of a descriptor at a path by other means than the registry, or says that it cannot."""


class PulledModel(Struct, frozen=True, kw_only=True):
    """A verified model in a directory. `fetched` says whether any file came over the network."""

    version: ModelVersion
    signed_by: str
    directory: Path
    fetched: bool


def push_model(models: ModelRegistry, version: ModelVersion, repository: Repository) -> Reference:
    """Push a version with all its attestations, tagged with its number. Blobs that the registry has are not sent.

    The version is verified first and becomes visible when it is complete: a killed push leaves nothing to pull.
    Returns the reference by digest. Raises ModelRefused for an altered model, RegistryError for the registry.
    """
    models.open(version)
    layout = models.layout
    entry = next(each for each in layout.entries() if each.digest == version.digest)
    content = layout.read(entry, f"the manifest of {version.reference}")
    manifest = msgspec.json.decode(content, type=Manifest)
    if not repository.has_manifest(version.digest):
        _push_blobs(repository, models, [manifest.config, *manifest.layers])
    tag = str(version.version)
    if repository.has_manifest(tag) != version.digest:
        repository.push_manifest(content, MANIFEST, tag=tag)
    subject = Descriptor(media_type=MANIFEST, digest=version.digest, size=len(content))
    for listed in models.attestations(version):
        encoded = layout.read(listed, f"an attestation of {version.reference}")
        attestation = msgspec.json.decode(encoded, type=Manifest)
        _push_blobs(repository, models, [attestation.config, *attestation.layers])
        repository.push_referrer(encoded, subject, attestation.artifact_type)
    return repository.reference.at(version.digest)


def pull_model(repository: Repository, digest: str, models: ModelRegistry) -> ModelVersion:
    """Pull a version into a layout, unless the layout has it. It is listed after all of it is verified.

    Raises ModelRefused that names the altered part, an untrusted signer, or another version with the same number.
    """
    for version in models.versions():
        if version.digest == digest:
            return models.open(version).version
    signed = fetch_signed_model(repository, digest, models.keys)
    models.layout.create()
    with models.layout.reading():
        _pull_signed(repository, signed, models)
    return models.open(signed.version).version


def _pull_signed(repository: Repository, signed: SignedModel, models: ModelRegistry) -> None:
    layout = models.layout
    incoming = layout.root / "incoming"
    blobs = {each.digest: each for each in (*signed.manifest.layers, signed.manifest.config)}
    missing = [each for each in blobs.values() if not layout.path(each.digest).exists()]
    fetched = {each.digest: incoming / each.digest.removeprefix("sha256:") for each in missing}
    _pull_blobs(repository, [(each, fetched[each.digest], signed.describe_blob(each)) for each in missing])
    try:
        for name, path in fetched.items():
            path.replace(layout.path(name))
    except FileNotFoundError:
        # Another process that pulls the same version has moved it.
        pass
    for each in blobs.values():
        layout.check(each, signed.describe_blob(each))
    attestations = []
    for attestation in signed.attestations:
        for content in attestation.blobs:
            layout.add_bytes(content, "")
        artifact_type = attestation.manifest.artifact_type
        attestations.append(layout.add_bytes(attestation.content, MANIFEST, artifact_type=artifact_type))
    entry = layout.add_bytes(signed.content, MANIFEST)
    models.add_pulled(signed.version, entry, (*attestations, *_pull_about(repository, signed.version, models)))


def _pull_about(repository: Repository, version: ModelVersion, models: ModelRegistry) -> list[Descriptor]:
    """Pull what else lies beside a version: its code, bills of materials and provenance; the entries for the index."""
    layout = models.layout
    return [*_pull_code(repository, version, layout), *_pull_statements(repository, version, layout, models.keys)]


def _pull_statements(
    repository: Repository, version: ModelVersion, layout: Layout, keys: TrustedKeys
) -> list[Descriptor]:
    """Statements that a trusted key has signed; others say nothing, and a version without them is as good."""
    found: list[Descriptor] = []
    what = f"an attestation of {version.reference}"
    with contextlib.suppress(RegistryError):
        for entry in repository.referrers(version.digest, ATTESTATION_ARTIFACT)[:MAX_ATTESTATIONS]:
            with contextlib.suppress(ModelRefused):
                content = repository.manifest(entry.digest).content
                manifest = read_attestation_manifest(content, version)
                if manifest is None:
                    continue
                blobs = [repository.blob(each, what) for each in (manifest.config, *manifest.layers)]
                kind = manifest.annotations.get(PREDICATE_ANNOTATION, "")
                verified(blobs[-1], version, kind, keys)
                for blob in blobs:
                    layout.add_bytes(blob, "")
                annotations = {PREDICATE_ANNOTATION: kind}
                found.append(
                    layout.add_bytes(content, MANIFEST, artifact_type=ATTESTATION_ARTIFACT, annotations=annotations)
                )
    return found


def _pull_code(repository: Repository, version: ModelVersion, layout: Layout) -> list[Descriptor]:
    """Pull the code of a version, if the registry has it; the entry for the index.

    Only files with the digests of the signed lineage count. A version without its code is as good as with it.
    """
    what = f"the code of {version.reference}"
    with contextlib.suppress(ModelRefused, RegistryError):
        for entry in repository.referrers(version.digest, CODE_ARTIFACT)[:MAX_ATTESTATIONS]:
            content = repository.manifest(entry.digest).content
            manifest = read_code_manifest(content, version)
            if manifest is not None:
                blobs = [repository.blob(each, what) for each in (manifest.config, *manifest.layers)]
                for blob in blobs:
                    layout.add_bytes(blob, "")
                return [layout.add_bytes(content, MANIFEST, artifact_type=CODE_ARTIFACT)]
    return []


def pull_files(
    repository: Repository, digest: str, keys: TrustedKeys, output: Path, *, otherwise: FileSource | None = None
) -> PulledModel:
    """Pull a version's files into the directory `output`, which appears whole and verified, or not at all.

    `otherwise` is asked for each file first; what it makes is verified like the rest. An existing directory is verified
    and used. A new call continues a killed pull. `.plimsoll/` beside the files lets `check_directory` verify them again
    without a registry. Raises ModelRefused.
    """
    signed = fetch_signed_model(repository, digest, keys)
    what = f"the model at {output}"
    with locked(output, what):
        if output.exists():
            found = check_directory(output, keys, digest)
            return PulledModel(version=found.version, signed_by=found.signed_by, directory=output, fetched=False)
        incoming = output.with_name(f".{output.name}.{digest.removeprefix('sha256:')[:16]}")
        layers = signed.manifest.layers
        _pull_blobs(
            repository,
            [(each, incoming / safe_file_path(each), signed.describe_blob(each)) for each in layers],
            otherwise,
        )
        try:
            write_proof(incoming, signed)
            check_directory(incoming, keys, digest)
        except ModelRefused:
            # A file was right when it arrived and is wrong now: do not continue from any of these files.
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        try:
            flush(incoming)
            incoming.rename(output)
            flush(output.parent)
        except OSError as error:
            hint = "name a new directory below the mount, not the mount itself"
            raise TargetError(
                f"cannot rename {what} to its final name: {error.strerror}", where=str(output), hint=hint
            ) from error
    return PulledModel(version=signed.version, signed_by=signed.signed_by, directory=output, fetched=True)


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Lock a path for one process. The lock is a file beside it."""
    deadline = time.monotonic() + LOCK_LIMIT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("wb")
    except OSError as error:
        message = f"cannot write {what}: {error.strerror}"
        raise TargetError(message, where=str(path.parent), hint="make the directory writable") from error
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process has locked {what} for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(path), hint="wait for that process, or end it") from None
                time.sleep(0.05)
        yield


def _push_blobs(repository: Repository, models: ModelRegistry, blobs: Sequence[Descriptor]) -> None:
    unique = list({each.digest: each for each in blobs}.values())
    with ThreadPoolExecutor(PARALLEL_BLOBS) as pool:
        list(pool.map(lambda each: repository.push_blob(each, models.layout.path(each.digest)), unique))


def _pull_blobs(
    repository: Repository, blobs: Sequence[tuple[Descriptor, Path, str]], otherwise: FileSource | None = None
) -> None:
    def pull(blob: tuple[Descriptor, Path, str]) -> None:
        descriptor, path, what = blob
        if otherwise is None or path.exists() or not _made(descriptor, path, otherwise):
            repository.pull_blob(descriptor, path, what)

    with ThreadPoolExecutor(PARALLEL_BLOBS) as pool:
        list(pool.map(pull, blobs))


def _made(descriptor: Descriptor, path: Path, otherwise: FileSource) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    return otherwise(descriptor, path)
