"""Models between the layout on this disk and a registry, and from a registry into a directory, verified before use.

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import flush
from plimsoll.registry.layout import MANIFEST, Descriptor, Manifest
from plimsoll.registry.models import ModelRegistry, ModelVersion, checked_title
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import LOCK_LIMIT, Repository
from plimsoll.registry.verification import check_directory, leave_proof, vouch
from plimsoll.signing.keys import TrustedKeys

AT_ONCE = 4
"""Blobs that travel at the same time: enough to fill a link, few enough for a registry."""


class PulledModel(Struct, frozen=True, kw_only=True):
    """A verified model in a directory. `fetched` is whether anything had to be fetched for it."""

    version: ModelVersion
    signed_by: str
    directory: Path
    fetched: bool


def push_model(models: ModelRegistry, version: ModelVersion, repository: Repository) -> Reference:
    """Send a version with everything that is attested about it, unless it is there; tagged with its number.

    It is verified before, and visible only when whole: a push that is killed leaves nothing that can be pulled. Gives
    the reference by digest. Raises ModelRefused for an altered model, RegistryError for the registry.
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
    for statement in models.statements(version):
        said = layout.read(statement, f"an attestation of {version.reference}")
        attestation = msgspec.json.decode(said, type=Manifest)
        _push_blobs(repository, models, [attestation.config, *attestation.layers])
        repository.push_referrer(said, subject, attestation.artifact_type)
    return repository.reference.at(version.digest)


def pull_model(repository: Repository, digest: str, models: ModelRegistry) -> ModelVersion:
    """Fetch a version into a layout, unless it is there. Nothing of it is listed before all of it is verified.

    Raises ModelRefused that says what was altered, who signed it, or that the layout has another of its number.
    """
    for version in models.versions():
        if version.digest == digest:
            return models.open(version).version
    vouched = vouch(repository, digest, models.keys)
    layout = models.layout
    layout.make()
    incoming = layout.root / "incoming"
    blobs = {each.digest: each for each in (*vouched.manifest.layers, vouched.manifest.config)}
    missing = [each for each in blobs.values() if not layout.path(each.digest).exists()]
    fetched = {each.digest: incoming / each.digest.removeprefix("sha256:") for each in missing}
    _fetch(repository, [(each, fetched[each.digest], vouched.what(each)) for each in missing])
    try:
        for name, path in fetched.items():
            path.replace(layout.path(name))
    except FileNotFoundError:
        # Another process that pulls the same has moved it.
        pass
    for each in blobs.values():
        layout.check(each, vouched.what(each))
    statements = []
    for said in vouched.said:
        for content in said.blobs:
            layout.add_bytes(content, "")
        added = layout.add_bytes(said.content, MANIFEST, artifact_type=said.manifest.artifact_type)
        statements.append(added)
    entry = layout.add_bytes(vouched.content, MANIFEST)
    models.adopt(vouched.version, entry, tuple(statements))
    return models.open(vouched.version).version


def pull_files(repository: Repository, digest: str, keys: TrustedKeys, output: Path) -> PulledModel:
    """Fetch a version's files into the directory `output`, which appears whole and verified, or not at all.

    What is there already is verified and used. A pull that was killed is gone on from. Beside the files is
    `.plimsoll/`, by which `check_directory` can verify them again without a registry. Raises ModelRefused.
    """
    vouched = vouch(repository, digest, keys)
    what = f"the model at {output}"
    with locked(output, what):
        if output.exists():
            found = check_directory(output, keys, digest)
            return PulledModel(version=found.version, signed_by=found.signed_by, directory=output, fetched=False)
        incoming = output.with_name(f".{output.name}.{digest.removeprefix('sha256:')[:16]}")
        layers = vouched.manifest.layers
        _fetch(repository, [(each, incoming / checked_title(each), vouched.what(each)) for each in layers])
        try:
            leave_proof(incoming, vouched)
            check_directory(incoming, keys, digest)
        except ModelRefused:
            # A file that was right when it came and is not now: nothing of this is gone on from.
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        try:
            flush(incoming)
            incoming.rename(output)
            flush(output.parent)
        except OSError as error:
            hint = "name a directory that is not there yet, below the mount and not the mount itself"
            raise TargetError(f"{what} cannot be put there: {error.strerror}", where=str(output), hint=hint) from error
    return PulledModel(version=vouched.version, signed_by=vouched.signed_by, directory=output, fetched=True)


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """One process at a time at a path; the lock is a file beside it."""
    deadline = time.monotonic() + LOCK_LIMIT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("wb")
    except OSError as error:
        message = f"{what} cannot be written: {error.strerror}"
        raise TargetError(message, where=str(path.parent), hint="make the directory writable") from error
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process has held {what} for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(path), hint="wait for it, or end it") from None
                time.sleep(0.05)
        yield


def _push_blobs(repository: Repository, models: ModelRegistry, blobs: Sequence[Descriptor]) -> None:
    unique = list({each.digest: each for each in blobs}.values())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: repository.push_blob(each, models.layout.path(each.digest)), unique))


def _fetch(repository: Repository, blobs: Sequence[tuple[Descriptor, Path, str]]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: repository.pull_blob(*each), blobs))
