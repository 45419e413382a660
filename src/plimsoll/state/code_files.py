"""Files of the code that a run was given, kept by digest from its begin until its models are registered."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file

_REASON = ".reason"
_REVISION = ".revision"


@decodable
class Revision(Struct, frozen=True):
    """A state of a repository. `commit` is empty outside of one.

    `dirty` says that tracked files, or files of the code, differ from the commit.
    """

    commit: str = ""
    dirty: bool = False


class CodeFiles:
    """A directory with the files, or with the reason why one is not kept. Digests are SHA-256 in hexadecimal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, digest: str) -> bool:
        """Whether it is known of a file that it is kept, or why not."""
        return self._path(digest).exists() or self._path(digest + _REASON).exists()

    def keep(self, digest: str, content: bytes) -> None:
        """Keep a file. Raises OSError."""
        self._write(digest, content)

    def leave_out(self, digest: str, reason: str) -> None:
        """Record why a file is not kept. Raises OSError."""
        self._write(digest + _REASON, reason.encode())

    def found(self, files: Mapping[str, str]) -> dict[str, Path]:
        """The paths of the files that are kept unaltered, of those that `files` maps to their digests."""
        return {name: self._path(digest) for name, digest in files.items() if self._is_whole(digest)}

    def reason(self, digest: str) -> str:
        """Why a file is not kept."""
        try:
            return self._path(digest + _REASON).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "it was not there when the run began"

    def note_revision(self, key: str, revision: Revision) -> None:
        """Record the revision of the code that a training, by its key, begins with. Raises OSError."""
        self._write(key + _REVISION, msgspec.json.encode(revision))

    def revision(self, key: str) -> Revision | None:
        """What was recorded for a training; None for nothing."""
        with contextlib.suppress(*UNREADABLE, OSError):
            return msgspec.json.decode(self._path(key + _REVISION).read_bytes(), type=Revision)
        return None

    def _is_whole(self, digest: str) -> bool:
        try:
            return hashlib.sha256(self._path(digest).read_bytes()).hexdigest() == digest
        except OSError:
            return False

    def _path(self, name: str) -> Path:
        return self._directory / name

    def _write(self, name: str, content: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        replace_file(self._path(name), content, durable=False)
