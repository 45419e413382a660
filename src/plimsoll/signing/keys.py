"""The key that signs models and bundles, and the keys whose signatures are trusted."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.home import config_home

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key


class TrustedKeys(Protocol):
    """The keys whose signatures are trusted."""

    def public(self, key_id: str) -> Key:
        """The trusted key with an id. Raises ModelRefused when it is not trusted."""


class KeyFiles:
    """Public keys at a mounted path: one file or a directory of files, as JSON of `trusted/` or in PEM."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def public(self, key_id: str) -> Key:
        """The trusted key with an id. Raises ModelRefused when it is not trusted, TargetError without any keys."""
        try:
            paths = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
            # A mounted ConfigMap has additional directories and links, whose names begin with a dot.
            files = [path for path in paths if path.is_file() and not path.name.startswith(".")]
        except OSError as error:
            raise TargetError(f"the trusted keys cannot be read: {error.strerror}", where=str(self.path)) from error
        if not files:
            hint = "mount a file of the signer's directory keys/trusted, or the signer's public key in PEM"
            raise TargetError("there are no trusted keys", where=str(self.path), hint=hint)
        unreadable: ModelRefused | None = None
        for file in files:
            try:
                key = _read_key(file)
            except ModelRefused as error:
                # Several people add keys here: what one of them has spoilt takes nobody else's trust away.
                unreadable = unreadable or error
                continue
            if key.keyid == key_id:
                return key
        raise unreadable or _untrusted_error(key_id, self.path)


class OneKey:
    """One public key, given as `to_dict` of it with `keyid`: that of somebody who has shown it."""

    def __init__(self, key: Mapping[str, object]) -> None:
        self._key = key

    def public(self, key_id: str) -> Key:
        """The key. Raises ModelRefused for any other id, and for what is no key."""
        from securesystemslib.signer import Key

        if key_id != self._key.get("keyid"):
            raise ModelRefused(f"it is signed by the key {key_id[:16]}, which is another one")
        try:
            return Key.from_dict(key_id, {name: value for name, value in self._key.items() if name != "keyid"})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelRefused("the key cannot be read") from error


class KeyRing:
    """A directory with `signing.pem` (created on first use, readable by its owner only) and `trusted/<id>.json`.

    `signing.id` names the signing key: when the key is lost, no other takes its place in silence.

    To trust the models of another ring, copy its file of `trusted/` into this one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.private = directory / "signing.pem"
        self.trusted = directory / "trusted"
        self.named = directory / "signing.id"

    @classmethod
    def default(cls) -> KeyRing:
        """The key ring of the caller, below XDG_CONFIG_HOME. Raises TargetError for a caller without a home."""
        return cls(config_home() / "plimsoll" / "keys")

    def signer(self) -> CryptoSigner:
        """The signing key. Raises TargetError when it can neither be read nor created."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner

        self._require_not_lost()
        try:
            if not self.private.exists():
                self._make()
            key = load_pem_private_key(self.private.read_bytes(), password=None)
            signer = CryptoSigner(key)
        except (OSError, ValueError, TypeError) as error:
            raise TargetError(
                f"the signing key cannot be used: {getattr(error, 'strerror', None) or error}",
                where=str(self.private),
                hint="make its directory writable; move a broken key away, and a new key is created",
            ) from error
        try:
            self._trust(signer.public_key)
            if not self.named.exists():
                replace_file(self.named, f"{signer.public_key.keyid}\n".encode())
        except OSError as error:
            # A ring that cannot be written, such as a mounted one, can still sign.
            if not self.public_exists(signer.public_key.keyid):
                raise TargetError(
                    f"the signing key cannot be trusted: {error.strerror}", where=str(self.trusted)
                ) from error
        return signer

    def public_exists(self, key_id: str) -> bool:
        """Whether a key is trusted here."""
        return (self.trusted / f"{key_id}.json").is_file()

    def renew(self) -> str:
        """Replace the signing key by a new one, and keep the old one as `retired/<id>.pem`. Returns the new id.

        The old public key stays trusted until its file is removed from `trusted/`. Raises TargetError.
        """
        try:
            if self.private.exists():
                old = self.signer().public_key.keyid
                retired = self.directory / "retired"
                retired.mkdir(mode=0o700, exist_ok=True)
                self.private.rename(retired / f"{old}.pem")
            self.named.unlink(missing_ok=True)
        except OSError as error:
            message = f"the signing key cannot be replaced: {error.strerror}"
            raise TargetError(message, where=str(self.private), hint="make its directory writable") from error
        return str(self.signer().public_key.keyid)

    def _require_not_lost(self) -> None:
        if not self.private.exists() and self.named.exists():
            raise TargetError(
                f"the signing key {_first_word(self.named)} is lost",
                where=str(self.private),
                hint="restore it from a backup, or replace it by a new one: plimsoll models --new-key",
            )

    def require_usable(self) -> None:
        """Raise TargetError when there is no signing key that can be read, and none can be created. Makes no key."""
        self._require_not_lost()
        try:
            if self.private.exists():
                self.private.open("rb").close()
                return
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(self.directory, os.W_OK | os.X_OK):
                return
            reason = os.strerror(errno.EACCES)
        except OSError as error:
            reason = error.strerror or str(error)
        raise TargetError(
            f"the signing key cannot be used: {reason}",
            where=str(self.private),
            hint="make its directory writable, or set XDG_CONFIG_HOME to one that is",
        )

    def public(self, key_id: str) -> Key:
        """The trusted key with an id. Raises ModelRefused when it is not trusted."""
        path = self.trusted / f"{key_id}.json"
        if not key_id.isalnum() or not path.is_file():
            raise _untrusted_error(key_id, self.trusted)
        return _read_key(path)

    def files(self) -> dict[str, str]:
        """The trusted keys with the own one, by the name `<id>.json`, for the ConfigMap of `runtime.pull --keys`.

        Raises ModelRefused for a file that is no key: whoever is given it could verify nothing.
        """
        self.signer()
        found = {}
        for path in sorted(self.trusted.glob("*.json")):
            key_id = str(_read_key(path).keyid)
            if not (key_id.isascii() and key_id.isalnum()):
                raise ModelRefused(f"the trusted key has an id that is none: {key_id[:64]}", where=str(path))
            found[f"{key_id}.json"] = path.read_text(encoding="utf-8")
        return found

    def _make(self) -> None:
        from securesystemslib.signer import CryptoSigner

        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.directory / f".signing.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(CryptoSigner.generate_ed25519().private_bytes)
            file.flush()
            os.fsync(file.fileno())
        # When two processes create the key at the same time, both use the one that was linked first.
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


def _first_word(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:16].strip()
    except OSError:
        return ""


def _read_key(path: Path) -> Key:
    from securesystemslib.signer import SSlibKey

    try:
        content = path.read_bytes()
        if content.lstrip().startswith(b"-----BEGIN"):
            from cryptography.hazmat.primitives.serialization import load_pem_public_key

            return SSlibKey.from_crypto(load_pem_public_key(content))
        described = msgspec.json.decode(content, type=dict[str, Any])  # Any: as SSlibKey.from_dict takes it
        return SSlibKey.from_dict(described.pop("keyid"), described)
    except (*UNREADABLE, OSError, KeyError, ValueError, TypeError) as error:
        raise ModelRefused(f"the trusted key cannot be read: {error}", where=str(path)) from error


def _untrusted_error(key_id: str, place: Path) -> ModelRefused:
    return ModelRefused(
        f"it is signed by the key {key_id[:64]}, which is not trusted here",
        hint=f"if you know the signer, copy the key's file to {place}",
    )
