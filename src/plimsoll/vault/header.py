"""What stands in clear beside sealed files: the wrapped data key, which key wraps it, and where that key is.

.plimsoll/sealed/
  header.json      this; replaced as a whole when the key is rotated
  index            sealed: the names, kinds, modes and times of all files, and which object has each one's content
  objects/<id>     a sealed file each
  users.lock       held by every process that uses the plain files
  sealer.lock      held by the process that seals them
  setup.lock       held while they are opened or closed
  problem          why something could not be sealed; gone when it was

Names, digests and contents stand in sealed files alone. What is told in clear is how many files there are, how large
each is, and when it was written.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file
from plimsoll.vault.key_sources import KeySource, located, unwrapped, wrapped
from plimsoll.vault.problems import RESTORE, SealedDamaged
from plimsoll.vault.stream import KEY_BYTES, derived

DIRECTORY, FILE = "sealed", "header.json"
FORMAT = 1
_MOST = 1 << 16


@decodable
class Header(Struct, frozen=True, kw_only=True):
    """`key` is the id of the key that wraps, `by` where it was; a command is not noted, but asked of the file.

    `mac` authenticates the rest under the data key. `application` is a name; `workspace` a directory for plain files,
    or empty for memory.
    """

    format: int
    vault: str
    application: str
    key: str
    by: KeySource
    wrapped: bytes
    workspace: str = ""
    cipher: str = "AES-256-GCM"
    mac: bytes = b""

    @property
    def by_command(self) -> bool:
        """Whether a command of the application file wraps the data key."""
        return self.by == KeySource()


def made(application: str, source: KeySource, workspace: str, beside: Path) -> tuple[Header, bytes]:
    """A new vault's header and its data key; `beside` is where paths begin. Raises KeyProblem."""
    vault, data_key = os.urandom(16).hex(), os.urandom(KEY_BYTES)
    key, content = wrapped(located(source, beside), data_key, vault)
    header = Header(
        format=FORMAT,
        vault=vault,
        application=application,
        key=key,
        by=noted(source),
        wrapped=content,
        workspace=workspace,
    )
    return _authenticated(header, data_key), data_key


def data_key_of(header: Header, source: KeySource, beside: Path) -> bytes:
    """The data key, by the key that wraps it. Raises KeyProblem and SealedDamaged."""
    data_key = unwrapped(located(source, beside), header.wrapped, header.vault, header.key)
    if not hmac.compare_digest(_mac(header, data_key), header.mac):
        message = "the key opens the header, and what else stands in it was altered"
        raise SealedDamaged(message, where=f".plimsoll/{DIRECTORY}/{FILE}", hint="restore that file from a backup")
    return data_key


def rewrapped(header: Header, data_key: bytes, source: KeySource, workspace: str, beside: Path) -> Header:
    """The header with the data key under another key. Raises KeyProblem."""
    key, content = wrapped(located(source, beside), data_key, header.vault)
    changed = replace(header, key=key, wrapped=content, by=noted(source), workspace=workspace)
    return _authenticated(changed, data_key)


def noted(source: KeySource) -> KeySource:
    """What is noted of a source: never a command, which whoever writes to the disk could choose."""
    return KeySource() if source.command else source


def path_of(state: Path) -> Path:
    """The header's path in a state directory."""
    return state / DIRECTORY / FILE


def read(state: Path) -> Header:
    """The header of a state directory. Raises SealedDamaged, also where there is none."""
    path = path_of(state)
    try:
        with path.open("rb") as file:
            header = msgspec.json.decode(file.read(_MOST), type=Header)
    except (*UNREADABLE, OSError) as error:
        raise SealedDamaged("the header of the sealed state cannot be read", where=str(path), hint=RESTORE) from error
    if header.format != FORMAT:
        message = f"the sealed state has format {header.format}, and this version reads format {FORMAT}"
        raise SealedDamaged(message, where=str(path), hint="use the version of plimsoll that wrote it, or a newer one")
    return header


def write(state: Path, header: Header) -> None:
    """Replace the header durably. Raises OSError."""
    replace_file(path_of(state), msgspec.json.encode(header))


def _authenticated(header: Header, data_key: bytes) -> Header:
    return replace(header, mac=_mac(header, data_key))


def _mac(header: Header, data_key: bytes) -> bytes:
    content = msgspec.json.encode(replace(header, mac=b""))
    return hmac.digest(derived(data_key, b"plimsoll header"), content, sha256)
