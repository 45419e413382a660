"""Files of private keys: PKCS#8 in PEM, plain or encrypted under a password, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from plimsoll.errors import TargetError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

Algorithm = Literal["ed25519", "ecdsa"]
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
PASSWORD = "PLIMSOLL_KEY_PASSWORD"  # noqa: S105 - the name of a variable
"""The variable with the password of an encrypted key. No step of a run is given it."""
MOST_BYTES = 1 << 20
_OWNER_ONLY = 0o600
_EVERYBODY = 0o004
_OF_COSIGN = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_FOR_COSIGN = (
    "its cipher (XSalsa20-Poly1305) is none that the library `cryptography` has. Make the key here instead, "
    "`plimsoll key rotate --algorithm ecdsa`, and give it to cosign: cosign import-key-pair --key FILE"
)


class NeedsPassword(TargetError):
    """A private key is encrypted, and its password is not known."""


def generate(algorithm: Algorithm = "ed25519") -> CryptoSigner:
    """A new private key."""
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner.generate_ecdsa() if algorithm == "ecdsa" else CryptoSigner.generate_ed25519()


def load(path: Path, password: bytes | None = None) -> CryptoSigner:
    """Read a private key. Raises OSError, ValueError for what is none, and NeedsPassword."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    content = _read(path)
    password = _password_for(content, path, password)
    try:
        return CryptoSigner(load_pem_private_key(content, password=password))
    except ValueError as error:
        if password is None:
            raise
        hint = f"give the right one, at the prompt or in {PASSWORD}"
        raise NeedsPassword(
            "the password of the key is wrong, or its file was altered", where=str(path), hint=hint
        ) from error


def require_readable(path: Path) -> None:
    """Raise what `load` would raise about the file and its password; nothing is decrypted."""
    _password_for(_read(path), path, None)


def _password_for(content: bytes, path: Path, password: bytes | None) -> bytes | None:
    """The password of a key; None for one that is not encrypted. Raises TargetError."""
    if any(mark in content for mark in _OF_COSIGN):
        message = "this is a private key of cosign, which cannot be decrypted here"
        raise TargetError(message, where=str(path), hint=_FOR_COSIGN)
    if not is_encrypted(content):
        return None
    if password is not None:
        return password
    variable = os.environ.get(PASSWORD)
    if not variable:
        raise NeedsPassword(
            "the signing key is encrypted, and its password is not known",
            where=str(path),
            hint=f"start its holder (plimsoll key hold), or set {PASSWORD}",
        )
    return variable.encode()


def is_encrypted(content: bytes) -> bool:
    """Whether a file of a private key is encrypted."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in content or b"Proc-Type: 4,ENCRYPTED" in content


def encoded(signer: CryptoSigner, password: bytes | None) -> bytes:
    """A private key as PKCS#8 in PEM. The library chooses how it is encrypted under the password."""
    if password is None:
        return bytes(signer.private_bytes)
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(signer.private_bytes, password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


def write_private(path: Path, content: bytes) -> Path:
    """Write the bytes of a private key to a new file beside its place, durably. Returns that file; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.parent / f".{path.stem}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _read(path: Path) -> bytes:
    """The bytes of a private key. Raises OSError, and TargetError for a file that everybody may read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise TargetError("the signing key is no regular file", where=str(path))
        if about.st_mode & _EVERYBODY:
            raise TargetError(
                f"every user of this machine may read the signing key (mode {stat.S_IMODE(about.st_mode):04o})",
                where=str(path),
                hint=f"take that away: chmod 600 {path}; a Secret is mounted with defaultMode: 0400",
            )
        return file.read(MOST_BYTES)
