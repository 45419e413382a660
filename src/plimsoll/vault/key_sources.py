"""Where the key is that protects the data key, and how it wraps it: a file, a variable, or a command before a KMS.

The key is 32 random bytes: as they are, in hexadecimal, or in base64. A file that every user may read is refused. A
command is asked with one more argument, `wrap` or `unwrap`; it reads base64 and prints base64, and the key itself may
stay where it is.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from plimsoll.files import flush
from plimsoll.vault.asking import ask
from plimsoll.vault.problems import KeyProblem
from plimsoll.vault.stream import KEY_BYTES, derived

_NONCE = 12
_MOST_BYTES = 1 << 12
_EVERYBODY = 0o007
_MAKE = "make one: plimsoll encryption key FILE"


class KeySource(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of the three. `file` is a path, `env` the name of a variable, `command` a program with arguments."""

    file: str = ""
    env: str = ""
    command: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The source in a sentence."""
        return self.file or (f"the variable {self.env}" if self.env else f"the command {' '.join(self.command)}")


def located(source: KeySource, beside: Path) -> KeySource:
    """The source with its file as a path: relative ones begin at the application file."""
    if not source.file:
        return source
    return KeySource(file=os.path.normpath(beside / Path(source.file).expanduser()))


def wrapped(source: KeySource, data_key: bytes, vault: str) -> tuple[str, bytes]:
    """The id of the key, and the data key of a vault wrapped under it. Raises KeyProblem."""
    if source.command:
        return "command", ask(source.command, "wrap", data_key)
    key = read_key(source)
    nonce = os.urandom(_NONCE)
    return key_id(key), nonce + AESGCM(derived(key, b"plimsoll wrap")).encrypt(nonce, data_key, vault.encode())


def unwrapped(source: KeySource, content: bytes, vault: str, wanted: str) -> bytes:
    """The data key of a vault. Raises KeyProblem, also for a key that is not the one with the id `wanted`."""
    if source.command:
        data_key = ask(source.command, "unwrap", content)
        if len(data_key) != KEY_BYTES:
            raise KeyProblem(
                f"the command printed {len(data_key)} bytes for the data key, which has {KEY_BYTES}",
                where=source.told,
                hint="`unwrap` prints, in base64, the bytes that `wrap` was given",
            )
        return data_key
    key = read_key(source)
    if key_id(key) != wanted:
        raise KeyProblem(
            f"this key does not open what is sealed: it is key {key_id(key)}, and the state is under key {wanted}",
            where=source.told,
            hint="give the right key; a key is replaced by `plimsoll encryption rotate`",
        )
    try:
        return AESGCM(derived(key, b"plimsoll wrap")).decrypt(content[:_NONCE], content[_NONCE:], vault.encode())
    except (InvalidTag, ValueError) as error:
        raise KeyProblem(
            "the key is the right one, and the wrapped data key was altered",
            where=".plimsoll/sealed/header.json",
            hint="restore that file from a backup: without it nothing that is sealed can be opened",
        ) from error


def key_id(key: bytes) -> str:
    """What names a key and says nothing of it: 16 digits."""
    return derived(key, b"plimsoll key id").hex()[:16]


def read_key(source: KeySource) -> bytes:
    """The 32 bytes of a key in a file or a variable. Raises KeyProblem."""
    if source.env:
        text = os.environ.get(source.env)
        if not text:
            hint = f"set it to 64 hexadecimal digits, or to 32 bytes in base64; {_MAKE}"
            raise KeyProblem("the key's variable is not set", where=source.env, hint=hint)
        content = text.encode(errors="surrogateescape")
    else:
        content = _content(Path(source.file))
    key = _decoded(content)
    if key is None:
        hint = f"a key is 32 random bytes, 64 hexadecimal digits, or 32 bytes in base64; {_MAKE}"
        raise KeyProblem("this is no key for encryption", where=source.told, hint=hint)
    return key


def make_key(path: Path) -> str:
    """Make a new key in a new file that its owner alone may read; returns the key's id. Raises KeyProblem."""
    key = os.urandom(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        flush(path.parent)
    except FileExistsError as error:
        hint = "name another file: what is sealed under the key that is there could not be opened any more"
        raise KeyProblem("there is a file of this name already", where=str(path), hint=hint) from error
    except OSError as error:
        raise KeyProblem(f"the key cannot be written: {error.strerror}", where=str(path)) from error
    return key_id(key)


def _content(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyProblem(f"the key cannot be read: {error.strerror}", where=str(path), hint=_MAKE) from error
    # By its number: Python makes no file of a directory.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise KeyProblem("the key is no regular file", where=str(path), hint=_MAKE)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if about.st_mode & _EVERYBODY:
            raise KeyProblem(
                f"every user of this machine may use the file of the key (mode {stat.S_IMODE(about.st_mode):04o})",
                where=str(path),
                hint=f"take that away: chmod 600 {path}; a Secret is mounted with defaultMode: 0400",
            )
        return file.read(_MOST_BYTES)


def _decoded(content: bytes) -> bytes | None:
    if len(content) == KEY_BYTES:
        return content
    text = content.strip()
    try:
        key = (
            bytes.fromhex(text.decode("ascii")) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_BYTES else None
