"""The index of a vault: which files there are, and which object has the content of each. Itself sealed.

It is replaced as a whole by one rename, so that it is always a picture of all files at about one time.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file
from plimsoll.vault.problems import RESTORE, SealedDamaged
from plimsoll.vault.stream import open_stream, seal_stream

FILE = "index"
_NAME = b"index"


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file, link or directory. `path` has a character for each byte of the name; `size` is in bytes.

    `object` names the sealed content of a file; several names of one file have the same. `target` is a link's.
    """

    path: str
    kind: Literal["file", "link", "directory"]
    mode: int = 0o600
    changed: int = 0
    size: int = 0
    object: str = ""
    target: str = ""


@decodable
class Index(Struct, frozen=True):
    """All files of a vault. `vault` is its id: an index of another one is refused."""

    vault: str
    entries: tuple[Entry, ...] = ()


def as_text(path: str) -> str:
    """A path for the index, whatever bytes it has."""
    return os.fsencode(path).decode("latin-1")


def as_path(text: str) -> str:
    """The path that a text of the index stands for."""
    return os.fsdecode(text.encode("latin-1"))


def read_index(sealed: Path, vault: str, key: bytes) -> Index:
    """The index in a directory. Raises SealedDamaged, also where there is none: every vault has one."""
    path = sealed / FILE
    try:
        with path.open("rb") as file:
            content = b"".join(open_stream(file, key, _NAME, str(path)))
        index = msgspec.json.decode(content, type=Index)
    except (*UNREADABLE, OSError) as error:
        reason = getattr(error, "strerror", None) or "it has another format"
        raise SealedDamaged(
            f"the index of sealed files cannot be read: {reason}", where=str(path), hint=RESTORE
        ) from error
    if index.vault != vault:
        raise SealedDamaged("this is the index of another vault", where=str(path), hint=RESTORE)
    return index


def write_index(sealed: Path, index: Index, key: bytes) -> None:
    """Replace the index durably. Raises OSError."""
    content = io.BytesIO()
    seal_stream(io.BytesIO(msgspec.json.encode(index)), content, key, _NAME)
    replace_file(sealed / FILE, content.getvalue())
