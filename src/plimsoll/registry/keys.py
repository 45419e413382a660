"""Keys that sign models, and keys that are trusted to."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from plimsoll.errors import ModelRefused, TargetError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key


class KeyRing:
    """A directory with `signing.pem` (ours, made on first use, readable by its owner only) and `trusted/<id>.json`.

    Whoever should trust our models copies our file of `trusted/` into theirs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.private = directory / "signing.pem"
        self.trusted = directory / "trusted"

    @classmethod
    def default(cls) -> KeyRing:
        """The caller's own, below XDG_CONFIG_HOME."""
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return cls(Path(base) / "plimsoll" / "keys")

    def signer(self) -> CryptoSigner:
        """Our key. Raises TargetError when it can neither be read nor made."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner

        try:
            if not self.private.exists():
                self._make()
            key = load_pem_private_key(self.private.read_bytes(), password=None)
            signer = CryptoSigner(key)
        except (OSError, ValueError, TypeError) as error:
            raise TargetError(
                f"the signing key cannot be used: {getattr(error, 'strerror', None) or error}",
                where=str(self.private),
                hint="make its directory writable; a broken key may be moved away and a new one is made",
            ) from error
        self._trust(signer.public_key)
        return signer

    def public(self, key_id: str) -> Key:
        """A trusted key. Raises ModelRefused when there is none of that id."""
        from securesystemslib.signer import SSlibKey

        path = self.trusted / f"{key_id}.json"
        if not key_id.isalnum() or not path.is_file():
            raise ModelRefused(
                f"it was signed by the key {key_id[:64]}, which is not trusted here",
                hint=f"if you know the signer, put the key's file into {self.trusted}",
            )
        try:
            described = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            return SSlibKey.from_dict(described.pop("keyid"), described)
        except (OSError, msgspec.DecodeError, KeyError, ValueError, TypeError) as error:
            raise ModelRefused(f"the trusted key cannot be read: {error}", where=str(path)) from error

    def _make(self) -> None:
        from securesystemslib.signer import CryptoSigner

        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.directory / f".signing.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(CryptoSigner.generate_ed25519().private_bytes)
            file.flush()
            os.fsync(file.fileno())
        # The first of two that make one at the same time wins; the other uses the winner's.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self.private)
        temporary.unlink()

    def _trust(self, key: Key) -> None:
        path = self.trusted / f"{key.keyid}.json"
        if path.exists():
            return
        self.trusted.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(f".{secrets.token_hex(8)}")
        temporary.write_bytes(msgspec.json.encode({"keyid": key.keyid, **key.to_dict()}))
        temporary.replace(path)
