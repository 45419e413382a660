"""Files of public keys: JSON with the conditions of a key, or PEM as others write it (`cosign.pub`, OpenSSL)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused
from plimsoll.files import open_regular, replace_file
from plimsoll.signing.conditions import Conditions

if TYPE_CHECKING:
    from securesystemslib.signer import Key

CONDITIONS = "conditions"
MOST_BYTES = 16 << 20
"""Bytes of a file of a key: one that was retired has a line for each thing that it had signed."""


class TrustedFile(Struct, frozen=True, kw_only=True):
    """A key as a file has it, and what it is trusted for."""

    key: Key
    conditions: Conditions


def read_key_file(path: Path) -> TrustedFile:
    """Read a public key. Raises ModelRefused for what is none."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ModelRefused(f"the trusted key has more than {MOST_BYTES} bytes", where=str(path))
        return parse_key(content)
    except (*UNREADABLE, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelRefused(f"the trusted key cannot be read: {error}", where=str(path)) from error


def parse_key(content: bytes) -> TrustedFile:
    """A key from the bytes of a file. Raises one of what reading JSON, PEM and keys raises."""
    from securesystemslib.signer import SSlibKey

    if content.lstrip().startswith(b"-----BEGIN"):
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return TrustedFile(key=SSlibKey.from_crypto(load_pem_public_key(content)), conditions=Conditions())
    described = msgspec.json.decode(content, type=dict[str, Any])  # Any: as SSlibKey.from_dict takes it
    conditions = msgspec.convert(described.pop(CONDITIONS, {}), type=Conditions)
    return TrustedFile(key=SSlibKey.from_dict(described.pop("keyid"), described), conditions=conditions)


def described_key(key: Key) -> dict[str, object]:
    """A key as JSON, with its id."""
    return {"keyid": key.keyid, **key.to_dict()}


def write_key_file(directory: Path, trusted: TrustedFile) -> Path:
    """Write a key with its conditions as `<id>.json`. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"{trusted.key.keyid}.json"
    content = described_key(trusted.key)
    if trusted.conditions != Conditions():
        content[CONDITIONS] = msgspec.to_builtins(trusted.conditions)
    replace_file(path, msgspec.json.encode(content))
    return path


def add_key_file(directory: Path, key: Key) -> None:
    """Write a key without conditions, unless there is a file of it. Raises OSError."""
    path = directory / f"{key.keyid}.json"
    if path.exists():
        return
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{secrets.token_hex(8)}")
    temporary.write_bytes(msgspec.json.encode(described_key(key)))
    temporary.replace(path)


def pem_of(key: Key) -> str:
    """The public key in PEM, as `cosign` and OpenSSL read it. Raises ModelRefused for a kind that has no PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        value = str(key.keyval["public"])
        if key.keytype != "ed25519":
            return value
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(value))
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    except (KeyError, ValueError) as error:
        raise ModelRefused(f"the key {key.keyid[:16]} cannot be written as PEM: {error}") from error
