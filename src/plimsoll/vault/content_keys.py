"""Keys of what lies in registries: one for each image, random, wrapped under a key that pods have from a Secret."""

from __future__ import annotations

import hmac
import io
import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.vault.key_sources import KeySource, key_id, read_key
from plimsoll.vault.problems import KeyProblem, SealedDamaged
from plimsoll.vault.stream import KEY_BYTES, derived, open_stream, seal_stream

_NONCE = 12
_FACTS = b"facts"
AGAIN = "remove the tag from the registry, so that the step runs again"


@decodable
class SealedLabel(Struct, frozen=True, kw_only=True):
    """What the label of a sealed image has: the id of the wrapping key, the wrapped key, and its facts, sealed."""

    key: str
    wrapped: bytes
    facts: bytes


class ContentKey:
    """The key of one image."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, file: str) -> str:
        """What stands in a manifest in place of the name of a file, which it does not tell."""
        return hmac.digest(derived(self._key, b"plimsoll names"), file.encode(errors="surrogateescape"), sha256).hex()

    def seal(self, plain: Path, sealed: Path, name: str) -> None:
        """Encrypt a file under a name. Raises OSError."""
        with plain.open("rb") as source, sealed.open("wb") as target:
            seal_stream(source, target, self._key, name.encode())

    def open(self, sealed: Path, plain: Path, name: str, what: str) -> None:
        """Decrypt a file. Raises SealedDamaged and OSError."""
        with sealed.open("rb") as source, plain.open("wb") as target:
            for chunk in open_stream(source, self._key, name.encode(), what):
                target.write(chunk)

    def seal_facts(self, facts: bytes) -> bytes:
        """The facts of an image, sealed."""
        sealed = io.BytesIO()
        seal_stream(io.BytesIO(facts), sealed, self._key, _FACTS)
        return sealed.getvalue()

    def open_facts(self, sealed: bytes, what: str) -> bytes:
        """The facts of an image. Raises SealedDamaged."""
        return b"".join(open_stream(io.BytesIO(sealed), self._key, _FACTS, what))


class ContentSealer:
    """Makes and opens keys of images, by the key that wraps them."""

    def __init__(self, key: bytes) -> None:
        self.id = key_id(key)
        self._cipher = AESGCM(derived(key, b"plimsoll content"))

    @classmethod
    def of(cls, source: KeySource) -> ContentSealer:
        """By the key in a file or a variable. Raises KeyProblem."""
        return cls(read_key(source))

    def new(self) -> tuple[ContentKey, bytes]:
        """A new key, and the same wrapped."""
        key, nonce = os.urandom(KEY_BYTES), os.urandom(_NONCE)
        return ContentKey(key), nonce + self._cipher.encrypt(nonce, key, self.id.encode())

    def opened(self, label: SealedLabel, what: str) -> ContentKey:
        """The key of an image. Raises KeyProblem for one under another key, SealedDamaged for one that was altered."""
        if label.key != self.id:
            message = f"this is encrypted under key {label.key}, and the key here is {self.id}"
            raise KeyProblem(message, where=what, hint=f"give that key, or {AGAIN}")
        try:
            return ContentKey(self._cipher.decrypt(label.wrapped[:_NONCE], label.wrapped[_NONCE:], self.id.encode()))
        except (InvalidTag, ValueError) as error:
            raise SealedDamaged("the wrapped key of this image was altered", where=what, hint=AGAIN) from error
