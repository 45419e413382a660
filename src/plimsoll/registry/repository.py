"""One repository of a registry: pull and push blobs and manifests, each checked against its digest.

    with Repository(parse("localhost:5000/team/app:1")) as repository:
        manifest = repository.manifest()                       # at the reference's digest or tag, else `latest`
        repository.push_blob(descriptor, path)                 # sends nothing when the blob exists
        digest = repository.push_manifest(content, MANIFEST, tag="2")

Source: OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import hashlib
import os
import time
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import flush
from plimsoll.registry.bounds import SLOWEST_RATE, Pace, TooMany, read_body
from plimsoll.registry.connection import TRIES, RegistryAccess, RegistryConnection
from plimsoll.registry.layout import INDEX, MANIFEST, Descriptor, Manifest
from plimsoll.registry.partial_files import locked_part
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference
from plimsoll.registry.uploads import upload

if TYPE_CHECKING:
    from plimsoll.vault.content_keys import ContentSealer

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MAX_MANIFEST_BYTES = 4 << 20
"""Largest manifest in bytes: the size that the specification requires a registry to accept."""
_MAX_PAGES = 20
_MAX_TAG_PAGES = 1000
"""Registries give 100 tags or more at once; a group of the edge has a tag for each of its devices."""
_TRY_LATER = "try again later, from where the pull has ended, or ask the operator of the registry"
_PUSH_AGAIN = "push it again, or find out who changed the registry"


class FetchedManifest(Struct, frozen=True, kw_only=True):
    """The bytes of a manifest, with their media type and digest."""

    content: bytes
    media_type: str
    digest: str

    def decoded(self) -> Manifest:
        """The manifest of an artifact. Raises ModelRefused when it is none."""
        try:
            return msgspec.json.decode(self.content, type=Manifest)
        except UNREADABLE as error:
            raise ModelRefused(f"this is not the manifest of an artifact: {error}", where=self.digest) from error


@decodable
class _TagList(Struct, frozen=True):
    tags: list[str] | None = None


@decodable
class _ReferrerList(Struct, frozen=True):
    manifests: list[Descriptor] | None = None


class Repository:
    """A repository of one registry, safe for several threads.

    `sealer` encrypts the results of steps and what else `runtime.artifacts` keeps there; without it they are in clear.
    """

    def __init__(
        self, reference: Reference, access: RegistryAccess | None = None, sealer: ContentSealer | None = None
    ) -> None:
        self.reference = reference
        self.sealer = sealer
        self.connection = RegistryConnection(reference, access)
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
        """Close connections."""
        self.connection.close()

    def manifest(self, target: str = "") -> FetchedManifest:
        """Pull a manifest or index by digest or tag, by default the reference's own.

        Raises RegistryError when it does not exist, ModelRefused when its bytes do not have its digest.
        """
        target = target or self.reference.target
        headers = {"Accept": ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))}
        path = f"{self._path}/manifests/{target}"
        answer = self.connection.request("GET", path, scopes=self._pull, headers=headers, accept=[404])
        if answer.status == 404:
            hint = "check the name; perhaps it was never pushed, or was deleted"
            raise RegistryError(f"there is no manifest {target}", status=404, where=self.reference.name, hint=hint)
        digest = "sha256:" + hashlib.sha256(answer.content).hexdigest()
        wanted = target if ":" in target else answer.headers.get("Docker-Content-Digest", digest)
        if wanted.startswith("sha256:") and digest != wanted:
            raise _digest_mismatch(f"the manifest {wanted}", digest, self.reference)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return FetchedManifest(content=answer.content, media_type=media_type, digest=digest)

    def has_manifest(self, target: str) -> str:
        """The digest of the manifest at a tag or digest; empty when there is none."""
        headers = {"Accept": ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))}
        path = f"{self._path}/manifests/{target}"
        answer = self.connection.request("HEAD", path, scopes=self._pull, headers=headers, accept=[404])
        if answer.status == 404:
            return ""
        return str(answer.headers.get("Docker-Content-Digest", target if ":" in target else ""))

    def push_manifest(self, content: bytes, media_type: str, tag: str = "") -> str:
        """Push a manifest under its digest, and under `tag` if given. Its blobs must exist. Returns the digest."""
        return self._push_manifest(content, media_type, tag)[0]

    def delete(self, what: str, digest: str) -> None:
        """Delete one of the `manifests` or `blobs` by its digest; what is gone already is no error.

        Raises RegistryError, also where the registry deletes nothing.
        """
        scopes = f"repository:{self.reference.repository}:pull,push,delete"
        self.connection.request("DELETE", f"{self._path}/{what}/{digest}", scopes=scopes, accept=[404])

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        path = f"{self._path}/blobs/{digest}"
        return self.connection.request("HEAD", path, scopes=self._pull, accept=[404]).status != 404

    def push_blob(self, descriptor: Descriptor, file: Path) -> bool:
        """Push a blob unless the repository has it. Returns whether bytes were sent."""
        if self.has_blob(descriptor.digest):
            return False
        answer = self.connection.request("POST", f"{self._path}/blobs/uploads/", scopes=self._push)
        location = answer.headers.get("Location", "")
        upload(self.connection, location, descriptor.digest, descriptor.size, file, self._push)
        return True

    def push_bytes(self, content: bytes, media_type: str) -> Descriptor:
        """Push a small blob unless the repository has it. Returns its descriptor."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if not self.has_blob(digest):
            begun = self.connection.request("POST", f"{self._path}/blobs/uploads/", scopes=self._push)
            location = begun.headers.get("Location", "")
            self.connection.request(
                "PUT",
                f"{location}{'&' if '?' in location else '?'}digest={digest}",
                scopes=self._push,
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(len(content))},
                content=lambda: content,
            )
            self.connection.count(sent=len(content))
        return Descriptor(media_type=media_type, digest=digest, size=len(content))

    def mount_blob(self, digest: str, source: str) -> bool:
        """Mount a blob of another repository of the same registry. Returns whether the registry mounted it."""
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
            # The registry did not mount the blob and began an upload, which nobody will finish.
            location = answer.headers.get("Location", "")
            self.connection.request("DELETE", location, scopes=scopes, accept=range(400, 500))
        return answer.status == 201

    def blob(self, descriptor: Descriptor, what: str) -> bytes:
        """Pull a small blob. Raises ModelRefused when size or digest differ from the descriptor."""
        if descriptor.size > MAX_MANIFEST_BYTES:
            raise ModelRefused(
                f"{what} has {descriptor.size} bytes, more than {MAX_MANIFEST_BYTES}", where=self.reference.name
            )
        path = f"{self._path}/blobs/{descriptor.digest}"
        with self.connection.stream("GET", path, scopes=self._pull) as answer:
            try:
                content = read_body(answer, descriptor.size)
            except TooMany:
                message = f"{what} has more than its {descriptor.size} bytes"
                raise ModelRefused(message, where=self.reference.name, hint=_PUSH_AGAIN) from None
            except httpx2.HTTPError as error:
                raise self.connection.unreachable_error("GET", path, error) from error
        self.connection.count(received=len(content))
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if len(content) != descriptor.size or digest != descriptor.digest:
            raise _digest_mismatch(what, digest, self.reference)
        return content

    def pull_blob(self, descriptor: Descriptor, file: Path, what: str = "") -> bool:
        """Pull a blob to `file`, and continue a partial file of an earlier attempt. Returns whether bytes were fetched.

        `file` appears whole and verified, or not at all. Of several callers one fetches and the others wait. Raises
        ModelRefused when the bytes do not have the digest, TargetError when the disk cannot be written.
        """
        partial = file.with_name(f".{file.name}.part")
        what = what or f"the blob {descriptor.digest}"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with locked_part(partial, what) as part:
                if file.exists():
                    return False
                self._fill(part, descriptor, what)
                part.flush()
                os.fsync(part.fileno())
                partial.replace(file)
            flush(file.parent)
        except OSError as error:
            hint = "free space on the disk, or make the directory writable"
            raise TargetError(f"cannot write {what}: {error.strerror}", where=str(file), hint=hint) from error
        return True

    def tags(self) -> list[str]:
        """The tags of the repository; empty when the repository does not exist."""
        found: list[str] = []
        path = f"{self._path}/tags/list"
        for _ in range(_MAX_TAG_PAGES):
            answer = self.connection.request("GET", path, scopes=self._pull, accept=[404])
            if answer.status == 404:
                return []
            try:
                found += msgspec.json.decode(answer.content, type=_TagList).tags or []
            except UNREADABLE as error:
                raise RegistryError(f"the list of tags cannot be read: {error}", where=self.reference.name) from error
            if not answer.following:
                return found
            path = answer.following
        text = f"the list of tags has more than {_MAX_TAG_PAGES} pages"
        raise RegistryError(text, where=self.reference.name, hint="remove tags that nobody needs")

    def referrers(self, digest: str, artifact_type: str) -> list[Descriptor]:
        """Manifests of one artifact type whose subject is `digest`.

        Uses the referrers API, or the referrers tag where the registry has no such API.
        """
        found: list[Descriptor] = []
        path = f"{self._path}/referrers/{digest}?artifactType={quote(artifact_type, safe='')}"
        for _ in range(_MAX_PAGES):
            answer = self.connection.request("GET", path, scopes=self._pull, accept=[400, 404, 405])
            if answer.status >= 400:
                found = self._referrers_by_tag(digest)
                break
            found += _index_manifests(answer.content, self.reference)
            if not answer.following:
                break
            path = answer.following
        return [each for each in found if each.artifact_type == artifact_type]

    def push_referrer(self, content: bytes, subject: Descriptor, artifact_type: str) -> str:
        """Push a manifest with a subject, so that `referrers` finds it. Returns its digest."""
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
            # Another writer of this tag may have overwritten it in the meantime: check again.
            time.sleep(0.02 * attempt)
            if any(each.digest == digest for each in self._referrers_by_tag(subject.digest)):
                return digest
        message = f"other writers keep overwriting the list of attestations of {subject.digest}"
        raise RegistryError(message, where=self.reference.name, hint="push again when the other writers have finished")

    def _push_manifest(self, content: bytes, media_type: str, tag: str) -> tuple[str, bool]:
        """Push a manifest. Returns its digest, and whether the registry updates the referrers itself."""
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
            raise _digest_mismatch(f"the manifest {digest} after it was pushed", stored, self.reference)
        return digest, "OCI-Subject" in answer.headers

    def _referrers_by_tag(self, digest: str) -> list[Descriptor]:
        tag = _referrers_tag(digest)
        if not self.has_manifest(tag):
            return []
        return _index_manifests(self.manifest(tag).content, self.reference)

    def _fill(self, part: BufferedRandom, descriptor: Descriptor, what: str) -> None:
        """Fetch the missing bytes of a partial file, reconnect when a connection breaks, and verify the whole file."""
        path = f"{self._path}/blobs/{descriptor.digest}"
        failures = 0
        while (offset := part.seek(0, os.SEEK_END)) < descriptor.size:
            try:
                self._receive(part, path, offset, descriptor.size)
            except httpx2.HTTPError as error:
                failures = 1 if part.seek(0, os.SEEK_END) > offset else failures + 1
                if failures >= TRIES:
                    raise self.connection.unreachable_error("GET", path, error) from error
                time.sleep(0.2 * 2**failures)
            else:
                # The response ended normally: the registry has no more bytes.
                if (size := part.seek(0, os.SEEK_END)) < descriptor.size:
                    part.truncate(0)
                    message = f"{what} ends after {size} of {descriptor.size} bytes"
                    raise ModelRefused(message, where=str(self.reference), hint=_PUSH_AGAIN)
        part.seek(0)
        digest = "sha256:" + hashlib.file_digest(part, "sha256").hexdigest()
        if offset != descriptor.size or digest != descriptor.digest:
            # Do not continue from wrong bytes.
            part.truncate(0)
            raise _digest_mismatch(what, digest, self.reference)

    def _receive(self, part: BufferedRandom, path: str, offset: int, size: int) -> None:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        with self.connection.stream("GET", path, scopes=self._pull, headers=headers) as answer:
            if offset and answer.status_code != 206:
                # The registry ignored the range and starts at the first byte.
                part.truncate(0)
                offset = 0
            pace = Pace()
            for piece in answer.iter_raw():
                if pace.too_slow(len(piece)):
                    message = f"the registry sends a blob at less than {SLOWEST_RATE} bytes per second"
                    raise RegistryError(message, where=f"{self.reference.name}: {path}", hint=_TRY_LATER)
                offset += len(piece)
                self.connection.count(received=len(piece))
                if offset > size:
                    part.truncate(0)
                    where = f"{self.reference.name}: {path}"
                    raise ModelRefused(f"a blob has more than its {size} bytes", where=where, hint=_PUSH_AGAIN)
                part.write(piece)


def _referrers_tag(digest: str) -> str:
    return digest.replace(":", "-")


def _index_manifests(content: bytes, reference: Reference) -> list[Descriptor]:
    try:
        return msgspec.json.decode(content, type=_ReferrerList).manifests or []
    except UNREADABLE as error:
        raise ModelRefused(f"cannot read the list of referrers: {error}", where=reference.name) from error


def _digest_mismatch(what: str, digest: str, reference: Reference) -> ModelRefused:
    message = f"{what} was altered: the registry returned bytes with the digest {digest}"
    return ModelRefused(message, where=reference.name, hint=_PUSH_AGAIN)
