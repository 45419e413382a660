"""Signed notes of transparency logs: a tree head with signatures, as Rekor writes it. Verified by a pinned key.

Sources: C2SP, signed-note.md and tlog-checkpoint.md. A head is three lines, `origin`, `size` and the root in base64;
after an empty line follow signatures, each with four bytes that hint at its key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from plimsoll.errors import ModelRefused
from plimsoll.signing.key_files import parse_key, pem_of

if TYPE_CHECKING:
    from securesystemslib.signer import Key

MOST_BYTES = 64 << 10
"""Bytes of a note: each witness adds a line."""
_DASH = "— "
_HASH = 4
_MOST_DIGITS = 20


class TreeHead(Struct, frozen=True, kw_only=True):
    """The size and root of a log, as its operator has signed them."""

    origin: str
    size: int
    root: bytes


class LogKey:
    """The pinned public key of a log: ECDSA or Ed25519."""

    def __init__(self, pem: bytes) -> None:
        """Take it from PEM. Raises ModelRefused for anything else."""
        try:
            self._key: Key = parse_key(pem).key
            self.der = der_of(self._key)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelRefused("this is no public key of a log", hint="give it in PEM, ECDSA or Ed25519") from error

    def hints(self, name: str) -> tuple[bytes, ...]:
        """What a line of a signature may begin with: the digest of the key, alone or after the name and algorithm."""
        raw = self.der[-32:]
        named = hashlib.sha256(name.encode() + b"\n\x01" + raw).digest()
        return hashlib.sha256(self.der).digest()[:_HASH], named[:_HASH]

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """Whether a signature of these bytes is by the key."""
        from securesystemslib.exceptions import Error
        from securesystemslib.signer import Signature

        try:
            self._key.verify_signature(Signature(str(self._key.keyid), signature.hex()), content)
        except (Error, ValueError, TypeError):
            return False
        return True


def open_note(note: str, key: LogKey) -> TreeHead:
    """The tree head in a note, when the pinned key has signed it. Raises ModelRefused."""
    if len(note) > MOST_BYTES:
        raise ModelRefused(f"the signed tree head has more than {MOST_BYTES} characters")
    text, empty, signatures = note.partition("\n\n")
    content = f"{text}\n".encode()
    if not empty or not any(_is_signature(line, content, key) for line in signatures.splitlines()):
        raise ModelRefused("the tree head of the log is not signed by the pinned key of the log")
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError, binascii.Error) as error:
        raise ModelRefused("the tree head of the log cannot be read") from error
    if not (
        size.isascii() and size.isdigit() and len(size) < _MOST_DIGITS and len(root) == hashlib.sha256().digest_size
    ):
        raise ModelRefused("the tree head of the log has no size, or no root")
    return TreeHead(origin=origin, size=int(size), root=root)


def _is_signature(line: str, content: bytes, key: LogKey) -> bool:
    if not line.startswith(_DASH):
        return False
    name, _, text = line.removeprefix(_DASH).rpartition(" ")
    try:
        made = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return made[:_HASH] in key.hints(name) and key.has_signed(content, made[_HASH:])


def der_of(key: Any) -> bytes:  # Any: the library's keys have no common type that names `keyval`
    """A public key as SubjectPublicKeyInfo. Raises ModelRefused for a kind that has no PEM."""
    lines = pem_of(key).strip().splitlines()
    return base64.b64decode("".join(lines[1:-1]))
