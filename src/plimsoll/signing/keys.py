"""The key that signs models and bundles, and the keys whose signatures are trusted."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.home import config_home
from plimsoll.locks import locked_file
from plimsoll.signing import private_keys
from plimsoll.signing.claims import Claim
from plimsoll.signing.conditions import Conditions, Revoked
from plimsoll.signing.key_files import (
    TrustedFile,
    add_key_file,
    described_key,
    read_key_file,
    write_key_file,
)
from plimsoll.signing.log import SigningLog
from plimsoll.signing.public_keys import MOST_TRIED, KeyFiles, OneKey, TrustedKeys, is_readable, untrusted_error

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer


__all__ = ("HolderPlace", "KeyFiles", "KeyRing", "OneKey", "TokenPlace", "TrustedKeys", "is_readable")
LOCK_LIMIT = 30.0
"""Seconds to wait for another process that changes what keys are trusted for."""


@decodable
class HolderPlace(Struct, frozen=True, kw_only=True):
    """The socket of the process that holds the signing key."""

    socket: str


@decodable
class TokenPlace(Struct, frozen=True, kw_only=True):
    """The address of a key in a token, as RFC 7512 has it."""

    uri: str


class KeyRing:
    """A directory with `signing.pem` (created on first use, readable by its owner only) and `trusted/<id>.json`.

    `signing.id` names the signing key: when the key is lost, no other takes its place in silence.

    To trust the models of another ring, copy its file of `trusted/` into this one. `log/` has all that was signed
    (see `signing.log`); `revoked/` names keys that are trusted no more, whatever lies in `trusted/`. `holder.json`
    names the process that holds the signing key, where it is not read here. `token.json` has the address of a key in a
    token, which then signs in place of `signing.pem`.

    `logged` is False for a device, whose reports without end are of no interest to a log.
    """

    def __init__(self, directory: Path, *, logged: bool = True) -> None:
        self.directory = directory
        self.log = SigningLog(directory / "log") if logged else None
        self.revoked = directory / "revoked"
        self.holder_file = directory / "holder.json"
        self.token_file = directory / "token.json"
        self.private = directory / "signing.pem"
        self.trusted = directory / "trusted"
        self.named = directory / "signing.id"

    @classmethod
    def default(cls) -> KeyRing:
        """The key ring of the caller, below XDG_CONFIG_HOME. Raises TargetError for a caller without a home."""
        return cls(config_home() / "plimsoll" / "keys")

    def signer(self) -> Signer:
        """The signing key. Raises TargetError when it can neither be read nor created."""
        if uri := self.token():
            return self._token_signer(uri)
        self._require_not_lost()
        try:
            if not self.private.exists():
                self._make()
            signer = private_keys.load(self.private)
        except (OSError, ValueError, TypeError) as error:
            raise TargetError(
                f"the signing key cannot be used: {getattr(error, 'strerror', None) or error}",
                where=str(self.private),
                hint="make its directory writable; move a broken key away, and a new key is created",
            ) from error
        self.adopt(signer.public_key)
        return signer

    def _token_signer(self, uri: str) -> Signer:
        from plimsoll.signing.token_signer import TokenSigner

        signer = TokenSigner(uri)
        if str(signer.public_key.keyid) != self.own_id():
            hint = "if it was replaced on purpose: plimsoll key use --token URI"
            raise TargetError("the token has another key than the one of this ring", where=uri[:200], hint=hint)
        self.adopt(signer.public_key)
        return signer

    def token(self) -> str:
        """The address of the key in a token; empty where the key is none. Raises TargetError."""
        try:
            return msgspec.json.decode(self.token_file.read_bytes(), type=TokenPlace).uri
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (*UNREADABLE, OSError) as error:
            hint = "write it anew: plimsoll key use --token URI, or --file to sign with the key of this directory"
            raise TargetError(
                f"the token of the key cannot be found: {error}", where=str(self.token_file), hint=hint
            ) from error

    def adopt(self, key: Key) -> None:
        """Trust the own key, and note its id. Raises TargetError when it cannot be trusted."""
        try:
            add_key_file(self.trusted, key)
            if not self.named.exists():
                replace_file(self.named, f"{key.keyid}\n".encode())
        except OSError as error:
            # A ring that cannot be written, such as a mounted one, can still sign.
            if not self.public_exists(key.keyid):
                raise TargetError(
                    f"the signing key cannot be trusted: {error.strerror}", where=str(self.trusted)
                ) from error

    def own_key(self) -> Key:
        """The public half of the signing key, without reading the private one where its id is noted."""
        key_id = self.own_id()
        if key_id and (self.holder() is not None or self.token() or self.private.exists()):
            with contextlib.suppress(ModelRefused):
                return self._read(key_id).key
        return self.signer().public_key

    def own_id(self) -> str:
        """The id of the signing key, as it is noted; empty before there is one."""
        found = _line(self.named)
        return found if found.isalnum() and found.isascii() else ""

    def holder(self) -> Path | None:
        """The socket of the process that holds the signing key; None where the key is read here.

        Raises TargetError when the file that names it cannot be read.
        """
        try:
            return Path(msgspec.json.decode(self.holder_file.read_bytes(), type=HolderPlace).socket)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (*UNREADABLE, OSError) as error:
            hint = "write it anew: plimsoll key use --holder SOCKET, or --file to sign with the key of this directory"
            raise TargetError(
                f"the holder of the key cannot be found: {error}", where=str(self.holder_file), hint=hint
            ) from error

    def require_may_sign(self, claim: Claim, key_id: str) -> None:
        """Raise TargetError when the own key is revoked, expired, or limited to something else."""
        try:
            why = self.conditions(key_id).may_not_sign(claim, datetime.now(UTC))
        except ModelRefused as error:
            raise TargetError(error.message, where=error.where, hint=error.hint, lasting=True) from error
        if why:
            hint = "`plimsoll key rotate` makes a new one; `plimsoll key limit` changes what a key is trusted for"
            raise TargetError(
                f"the signing key {key_id[:16]} may not sign {claim.words()}: {why}",
                where=str(self.trusted / f"{key_id}.json"),
                hint=hint,
                lasting=True,
            )

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
                f"the signing key {_line(self.named)[:16]} is lost",
                where=str(self.private),
                hint="restore it from a backup, or replace it by a new one: plimsoll key rotate",
            )

    def require_usable(self, *claims: Claim) -> None:
        """Raise TargetError when the signing key cannot be used, and none can be created. Makes no key.

        `claims` are what is going to be signed, such as a model that is trained first.
        """
        if (socket := self.holder()) is not None:
            from plimsoll.signing.holder.client import require_held

            require_held(socket, self.own_id())
        elif self.token():
            self.signer()
        else:
            self._require_readable()
        if own := self.own_id():
            for claim in claims:
                self.require_may_sign(claim, own)

    def _require_readable(self) -> None:
        self._require_not_lost()
        try:
            if self.private.exists():
                private_keys.require_readable(self.private)
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
        return self._read(key_id).key

    def conditions(self, key_id: str) -> Conditions:
        """What a key is trusted for. Raises ModelRefused when it is not trusted, or that cannot be read."""
        found = self._read(key_id).conditions
        listed = self.revoked / f"{key_id}.json"
        if found.revoked is None and os.path.lexists(listed):
            # Its file of `trusted/` was copied here again, from before it was revoked.
            return msgspec.structs.replace(found, revoked=_listed(listed))
        return found

    def key_ids(self) -> list[str]:
        """The ids of the keys that are trusted here, by their files."""
        return [path.stem for path in sorted(self.trusted.glob("*.json"))][:MOST_TRIED]

    def change_conditions(self, key_id: str, change: Callable[[Conditions], Conditions]) -> Conditions:
        """Change what a trusted key is trusted for; gives what it is then. Processes take turns.

        Raises ModelRefused when the key is not trusted, TargetError when its file cannot be written.
        """
        try:
            with locked_file(self.directory / ".conditions", limit=LOCK_LIMIT) as locked:
                if not locked:
                    hint = "wait for it, or end it"
                    message = f"another process has been changing the keys for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(self.directory), hint=hint)
                conditions = change(self.conditions(key_id))
                write_key_file(self.trusted, TrustedFile(key=self._read(key_id).key, conditions=conditions))
        except OSError as error:
            message = f"the conditions of the key cannot be written: {error.strerror}"
            raise TargetError(message, where=str(self.trusted), hint="make its directory writable") from error
        return conditions

    def set_conditions(self, key_id: str, conditions: Conditions) -> None:
        """Have a trusted key trusted for exactly this, as `change_conditions` does."""
        self.change_conditions(key_id, lambda _: conditions)

    def _read(self, key_id: str) -> TrustedFile:
        path = self.trusted / f"{key_id}.json"
        if not key_id.isalnum() or not path.is_file():
            raise untrusted_error(key_id, self.trusted)
        return read_key_file(path)

    def files(self) -> dict[str, str]:
        """The trusted keys with the own one, by the name `<id>.json`, for the ConfigMap of `runtime.pull --keys`.

        Raises ModelRefused for a file that is no key: whoever is given it could verify nothing.
        """
        self.own_key()
        found = {}
        for path in sorted(self.trusted.glob("*.json")):
            key_id = str(read_key_file(path).key.keyid)
            if not (key_id.isascii() and key_id.isalnum()):
                raise ModelRefused(f"the trusted key has an id that is none: {key_id[:64]}", where=str(path))
            found[f"{key_id}.json"] = self._given(path, key_id)
        return found

    def _given(self, path: Path, key_id: str) -> str:
        """The file of a key with all that is known of it."""
        if os.path.lexists(self.revoked / f"{key_id}.json"):
            known = {**described_key(read_key_file(path).key), "conditions": self.conditions(key_id)}
            return msgspec.json.encode(known).decode()
        return path.read_text(encoding="utf-8")

    def _make(self) -> None:
        temporary = private_keys.write_private(self.private, private_keys.encoded(private_keys.generate(), None))
        # When two processes create the key at the same time, both use the one that was linked first.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self.private)
        temporary.unlink()


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:128].strip()
    except OSError:
        return ""


def _listed(path: Path) -> Revoked:
    """When a key was revoked, by the time of the file that says so: it counts even if it cannot be read."""
    try:
        at = path.lstat().st_mtime
    except OSError:
        at = 0.0
    return Revoked(at=datetime.fromtimestamp(at, UTC), note=f"by {path.name} in {path.parent.name}/")
