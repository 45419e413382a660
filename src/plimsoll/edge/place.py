"""The place of a group in a registry: signed documents under tags, which owner and devices reach over HTTPS.

A document travels inside the manifest, so that writing one is one request, and reading one that has not changed is a
HEAD of its tag. Manifests that lost their tag are the registry's to collect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from plimsoll.edge.documents import MAX_DOCUMENT
from plimsoll.errors import ModelRefused
from plimsoll.files import digest_of_file
from plimsoll.registry.layout import EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository

ARTIFACT = "application/vnd.plimsoll.edge.document.v1"
_ANNOTATION = "dev.plimsoll.edge.document"
_EMPTY = b"{}"
_PACKED_TYPE = "application/vnd.plimsoll.edge.log.v1+gzip"
MAX_CONTENT = 256 << 20
"""Bytes of a packed file of logs."""
STATE_TAG = "state"
_LOG_TAG = re.compile(r"[0-9]{10}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a group or a device: lower-case letters, digits and '-', at most 62."""
    return _NAME.fullmatch(text) is not None


def group_at(place: str) -> str:
    """The group of a place, which is the last part of its name."""
    return place.rpartition("/")[2]


def report_tag(device: str) -> str:
    """The tag of a device's report."""
    return f"report-{device}"


def request_tag(device: str) -> str:
    """The tag of a device's request to be taken in."""
    return f"request-{device}"


def logs_of(place: Reference, device: str) -> Reference:
    """The repository of a device's logs; its tags are the numbers of the files."""
    return place.below("logs", device)


def log_tag(number: int) -> str:
    """The tag of a file of logs."""
    return f"{number:010d}"


def newest_log(tags: Sequence[str]) -> int:
    """The highest number of a file of logs among tags; 0 without one. What is no number is somebody else's."""
    return max((int(tag) for tag in tags if _LOG_TAG.fullmatch(tag)), default=0)


class EdgePlace:
    """The documents of one group. Raises RegistryError when the registry cannot be reached or refuses."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._repository = Repository(reference)
        self._seen: dict[str, str] = {}
        self._prepared = False

    def close(self) -> None:
        """Close connections."""
        self._repository.close()

    @property
    def sent(self) -> int:
        """Bytes of documents and of what goes with them that were sent."""
        return self._repository.connection.sent

    def digest(self, tag: str) -> str:
        """The digest of the document at a tag; empty without one. It costs one small request."""
        return self._repository.has_manifest(tag)

    def changed(self, tag: str) -> bool:
        """Whether the document at a tag is another one than `read` has given last."""
        digest = self.digest(tag)
        return bool(digest) and digest != self._seen.get(tag)

    def read(self, tag: str) -> bytes | None:
        """The envelope at a tag; None without one. Raises ModelRefused when there is something else."""
        try:
            found = self._repository.manifest(tag)
        except RegistryError as error:
            if error.status == 404:
                return None
            raise
        text = found.decoded().annotations.get(_ANNOTATION, "")
        if not text or len(text) > 2 * MAX_DOCUMENT:
            raise ModelRefused(f"the tag {tag} holds no document of a group", where=self.reference.name)
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ModelRefused(f"the document at {tag} cannot be read: {error}", where=self.reference.name) from error
        self._seen[tag] = found.digest
        return content

    def write(self, tag: str, envelope: bytes, content: Path | None = None) -> None:
        """Put an envelope at a tag, in place of the one that is there, with the bytes of a file beside it."""
        empty = Descriptor(media_type=EMPTY_CONFIG, digest=_digest(_EMPTY), size=len(_EMPTY))
        if not self._prepared:
            with tempfile.TemporaryDirectory() as directory:
                file = Path(directory) / "empty"
                file.write_bytes(_EMPTY)
                self._repository.push_blob(empty, file)
            self._prepared = True
        layers = (empty,)
        if content is not None:
            digest, size = digest_of_file(content), content.stat().st_size
            layers = (Descriptor(media_type=_PACKED_TYPE, digest=digest, size=size),)
            self._repository.push_blob(layers[0], content)
        annotations = {_ANNOTATION: base64.b64encode(envelope).decode()}
        manifest = Manifest(artifact_type=ARTIFACT, config=empty, layers=layers, annotations=annotations)
        self._repository.push_manifest(manifest.encoded(), MANIFEST, tag=tag)

    def fetch(self, tag: str, digest: str, file: Path) -> None:
        """Write the content beside the document at a tag to a file. Raises ModelRefused unless it has the digest."""
        layers = self._repository.manifest(tag).decoded().layers
        if len(layers) != 1 or layers[0].digest != digest or layers[0].size > MAX_CONTENT:
            raise ModelRefused(f"the content at {tag} is not the one that was signed", where=self.reference.name)
        self._repository.pull_blob(layers[0], file, f"the content at {tag}")

    def tags(self) -> list[str]:
        """The tags that there are."""
        return self._repository.tags()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
