"""One repository of a registry: blobs and manifests in and out, each held against its digest.

    with Repository(parse("localhost:5000/team/app:1")) as repository:
        manifest = repository.manifest()                       # of the reference's digest, tag, or `latest`
        repository.push_blob(descriptor, path)                 # nothing is sent when it is there
        digest = repository.push_manifest(content, MANIFEST, tag="2")

Source: OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import flush
from plimsoll.registry.connection import TRIES, Access, Connection
from plimsoll.registry.layout import INDEX, MANIFEST, Descriptor
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference
from plimsoll.registry.uploads import upload

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
LARGEST_MANIFEST = 4 << 20
"""Bytes: what the specification lets a registry refuse, and what we take from one."""
LOCK_LIMIT = 1800.0
"""Seconds to wait for another process that fetches the same blob to the same place: models are large, links slow."""
_PAGES = 20


class Fetched(Struct, frozen=True, kw_only=True):
    """A manifest's own bytes."""

    content: bytes
    media_type: str
    digest: str

    def decoded(self) -> dict[str, Any]:
        """As JSON. Raises ModelRefused when it is none."""
        try:
            return msgspec.json.decode(self.content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelRefused(f"the manifest is no JSON object: {error}", where=self.digest) from error


class Repository:
    """A repository of one registry. Can be used from several threads."""

    def __init__(self, reference: Reference, access: Access | None = None) -> None:
        self.reference = reference
        self.connection = Connection(reference, access)
        self._path = f"/v2/{reference.repository}"
        self._pull = f"repository:{reference.repository}:pull"
        self._push = f"repository:{reference.repository}:pull,push"

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self.connection.close()

    def manifest(self, target: str = "") -> Fetched:
        """A manifest or index by digest or tag, by default what the reference names.

        Raises RegistryError when it is not there, ModelRefused when its bytes are not those of its digest.
        """
        target = target or self.reference.target
        headers = {"Accept": ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))}
        path = f"{self._path}/manifests/{target}"
        answer = self.connection.request("GET", path, scopes=self._pull, headers=headers, accept=[404])
        if answer.status == 404:
            hint = "check the name; it may not have been pushed, or been deleted"
            raise RegistryError(f"there is no manifest {target}", status=404, where=self.reference.name, hint=hint)
        digest = "sha256:" + hashlib.sha256(answer.content).hexdigest()
        wanted = target if ":" in target else answer.headers.get("Docker-Content-Digest", digest)
        if wanted.startswith("sha256:") and digest != wanted:
            raise _altered(f"the manifest {wanted}", digest, self.reference)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Fetched(content=answer.content, media_type=media_type, digest=digest)

    def has_manifest(self, target: str) -> str:
        """The digest of a manifest that is there by this tag or digest; empty when there is none."""
        headers = {"Accept": ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))}
        path = f"{self._path}/manifests/{target}"
        answer = self.connection.request("HEAD", path, scopes=self._pull, headers=headers, accept=[404])
        if answer.status == 404:
            return ""
        return str(answer.headers.get("Docker-Content-Digest", target if ":" in target else ""))

    def push_manifest(self, content: bytes, media_type: str, tag: str = "") -> str:
        """Store a manifest, whose blobs must be there, under its digest and also under `tag`. Gives the digest."""
        return self._push_manifest(content, media_type, tag)[0]

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""
        path = f"{self._path}/blobs/{digest}"
        return self.connection.request("HEAD", path, scopes=self._pull, accept=[404]).status != 404

    def push_blob(self, descriptor: Descriptor, file: Path) -> bool:
        """Send a blob unless it is there; whether it was sent."""
        if self.has_blob(descriptor.digest):
            return False
        answer = self.connection.request("POST", f"{self._path}/blobs/uploads/", scopes=self._push)
        location = answer.headers.get("Location", "")
        upload(self.connection, location, descriptor.digest, descriptor.size, file, self._push)
        return True

    def mount_blob(self, digest: str, source: str) -> bool:
        """Have a blob of another repository of the same registry here without moving it; whether that went."""
        query = f"?mount={quote(digest, safe='')}&from={quote(source, safe='')}"
        scopes = f"{self._push} repository:{source}:pull"
        path = f"{self._path}/blobs/uploads/{query}"
        try:
            answer = self.connection.request("POST", path, scopes=scopes, accept=[404, 405])
        except RegistryError as error:
            if error.status in {401, 403}:
                return False
            raise
        if answer.status == 202:
            # It was not mounted but an upload begun, which nobody will finish.
            location = answer.headers.get("Location", "")
            self.connection.request("DELETE", location, scopes=scopes, accept=range(400, 500))
        return answer.status == 201

    def blob(self, descriptor: Descriptor, what: str) -> bytes:
        """A small blob. Raises ModelRefused unless size and digest are as described."""
        if descriptor.size > LARGEST_MANIFEST:
            raise ModelRefused(f"{what} has {descriptor.size} bytes", where=self.reference.name)
        path = f"{self._path}/blobs/{descriptor.digest}"
        content = bytearray()
        with self.connection.stream("GET", path, scopes=self._pull) as answer:
            try:
                for piece in answer.iter_raw():
                    content += piece
                    if len(content) > descriptor.size:
                        break
            except httpx2.HTTPError as error:
                raise self.connection.unreachable("GET", path, error) from error
        self.connection.count(received=len(content))
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if len(content) != descriptor.size or digest != descriptor.digest:
            raise _altered(what, digest, self.reference)
        return bytes(content)

    def pull_blob(self, descriptor: Descriptor, file: Path, what: str = "") -> bool:
        """Have a blob at `file`; whether anything was fetched. A part that an earlier try left is gone on from.

        `file` appears whole and verified or not at all. Several may ask for the same at once: one fetches. Raises
        ModelRefused when the bytes are not those of the digest, TargetError when the disk does not take them.
        """
        partial = file.with_name(f".{file.name}.part")
        what = what or f"the blob {descriptor.digest}"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with _locked(partial, what) as part:
                if file.exists():
                    return False
                self._fill(part, descriptor, what)
                part.flush()
                os.fsync(part.fileno())
                partial.replace(file)
            flush(file.parent)
        except OSError as error:
            hint = "free some space on the disk, or make the directory writable"
            raise TargetError(f"{what} cannot be written: {error.strerror}", where=str(file), hint=hint) from error
        return True

    def tags(self) -> list[str]:
        """The tags of the repository; none when it does not exist."""
        answer = self.connection.request("GET", f"{self._path}/tags/list", scopes=self._pull, accept=[404])
        if answer.status == 404:
            return []
        return [str(tag) for tag in msgspec.json.decode(answer.content, type=dict[str, Any]).get("tags") or []]

    def referrers(self, digest: str, artifact_type: str) -> list[Descriptor]:
        """Manifests of a type that have `digest` for a subject.

        By the referrers API, or by the tag that stands in for it where a registry does not have one.
        """
        found: list[Descriptor] = []
        path = f"{self._path}/referrers/{digest}?artifactType={quote(artifact_type, safe='')}"
        for _ in range(_PAGES):
            answer = self.connection.request("GET", path, scopes=self._pull, accept=[400, 404, 405])
            if answer.status >= 400:
                found = self._referrers_by_tag(digest)
                break
            found += _manifests(answer.content, self.reference)
            if not answer.following:
                break
            path = answer.following
        return [each for each in found if each.artifact_type == artifact_type]

    def push_referrer(self, content: bytes, subject: Descriptor, artifact_type: str) -> str:
        """Store a manifest that has a subject, unless it is there, so that `referrers` finds it. Gives its digest."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if any(each.digest == digest for each in self.referrers(subject.digest, artifact_type)):
            return digest
        _, known = self._push_manifest(content, MANIFEST, "")
        if known:
            return digest
        entry = Descriptor(media_type=MANIFEST, digest=digest, size=len(content), artifact_type=artifact_type)
        for attempt in range(TRIES):
            others = self._referrers_by_tag(subject.digest)
            if any(each.digest == digest for each in others):
                return digest
            index = {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": msgspec.to_builtins([*others, entry]),
            }
            self._push_manifest(msgspec.json.encode(index), INDEX, _referrers_tag(subject.digest))
            # Whoever writes this tag at the same time may have overwritten it: look again.
            time.sleep(0.02 * attempt)
            if any(each.digest == digest for each in self._referrers_by_tag(subject.digest)):
                return digest
        message = f"others keep overwriting what is said about {subject.digest}"
        raise RegistryError(message, where=self.reference.name, hint="try again")

    def _push_manifest(self, content: bytes, media_type: str, tag: str) -> tuple[str, bool]:
        """The digest, and whether the registry keeps referrers by itself."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        answer = self.connection.request(
            "PUT",
            f"{self._path}/manifests/{tag or digest}",
            scopes=self._push,
            headers={"Content-Type": media_type, "Content-Length": str(len(content))},
            content=lambda: content,
        )
        self.connection.count(sent=len(content))
        stored = answer.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise _altered(f"the manifest {digest} after it was pushed", stored, self.reference)
        return digest, "OCI-Subject" in answer.headers

    def _referrers_by_tag(self, digest: str) -> list[Descriptor]:
        tag = _referrers_tag(digest)
        if not self.has_manifest(tag):
            return []
        return _manifests(self.manifest(tag).content, self.reference)

    def _fill(self, part: BufferedRandom, descriptor: Descriptor, what: str) -> None:
        """Fetch what is missing of a partial file, through broken connections, and verify the whole."""
        path = f"{self._path}/blobs/{descriptor.digest}"
        failures = 0
        while (offset := part.seek(0, os.SEEK_END)) < descriptor.size:
            try:
                self._receive(part, path, offset, descriptor.size)
            except httpx2.HTTPError as error:
                failures = 1 if part.seek(0, os.SEEK_END) > offset else failures + 1
                if failures >= TRIES:
                    raise self.connection.unreachable("GET", path, error) from error
                time.sleep(0.2 * 2**failures)
            else:
                # The registry has given all that it has.
                if (size := part.seek(0, os.SEEK_END)) < descriptor.size:
                    part.truncate(0)
                    message = f"{what} ends after {size} of {descriptor.size} bytes"
                    raise ModelRefused(message, where=str(self.reference))
        part.seek(0)
        digest = "sha256:" + hashlib.file_digest(part, "sha256").hexdigest()
        if offset != descriptor.size or digest != descriptor.digest:
            # What is wrong is not gone on from.
            part.truncate(0)
            raise _altered(what, digest, self.reference)

    def _receive(self, part: BufferedRandom, path: str, offset: int, size: int) -> None:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        with self.connection.stream("GET", path, scopes=self._pull, headers=headers) as answer:
            if offset and answer.status_code != 206:
                # The registry begins at the beginning.
                part.truncate(0)
                offset = 0
            for piece in answer.iter_raw():
                offset += len(piece)
                self.connection.count(received=len(piece))
                if offset > size:
                    part.truncate(0)
                    raise ModelRefused(f"a blob has more than its {size} bytes", where=f"{self.reference.name}: {path}")
                part.write(piece)


@contextlib.contextmanager
def _locked(partial: Path, what: str) -> Iterator[BufferedRandom]:
    """A partial file that only we write. Its name may be another file by the time that we have the lock."""
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        with partial.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process has been fetching {what} for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(partial), hint="wait for it, or end it") from None
                time.sleep(0.02)
                continue
            if _same(file, partial):
                yield file
                # What is left of it here is an empty file: the content has been renamed.
                partial.unlink(missing_ok=True)
                return


def _same(file: BufferedRandom, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _referrers_tag(digest: str) -> str:
    return digest.replace(":", "-")


def _manifests(content: bytes, reference: Reference) -> list[Descriptor]:
    try:
        index = msgspec.json.decode(content, type=dict[str, Any])
        return [msgspec.convert(each, Descriptor) for each in index.get("manifests") or []]
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ModelRefused(f"the list of referrers cannot be read: {error}", where=reference.name) from error


def _altered(what: str, digest: str, reference: Reference) -> ModelRefused:
    message = f"{what} was altered: what the registry gives has the digest {digest}"
    return ModelRefused(message, where=reference.name, hint="push it again, or find out who changed the registry")
