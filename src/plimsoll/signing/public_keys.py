"""Public keys that somebody trusts: files at a path, or one key that was shown."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.signing.conditions import Conditions, strictest
from plimsoll.signing.key_files import TrustedFile, read_key_file

if TYPE_CHECKING:
    from securesystemslib.signer import Key

MOST_TRIED = 256
"""Keys that are tried on one signature: somebody else's formats need not say which key it is by."""


class TrustedKeys(Protocol):
    """The keys whose signatures are trusted."""

    def public(self, key_id: str) -> Key:
        """The trusted key with an id. Raises ModelRefused when it is not trusted."""

    def conditions(self, key_id: str) -> Conditions:
        """What the key is trusted for. Raises ModelRefused when that cannot be read."""

    def key_ids(self) -> list[str]:
        """The ids of all, of which MOST_TRIED are tried on a signature that does not name its key."""


class KeyFiles:
    """Public keys at a mounted path: one file or a directory of files, as JSON of `trusted/` or in PEM."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def public(self, key_id: str) -> Key:
        """The trusted key with an id. Raises ModelRefused when it is not trusted, TargetError without any keys."""
        return self._all(key_id)[0].key

    def conditions(self, key_id: str) -> Conditions:
        """What the key is trusted for, by all of its files."""
        return strictest(each.conditions for each in self._all(key_id))

    def key_ids(self) -> list[str]:
        """The ids of all that can be read. Raises TargetError without any keys."""
        found: dict[str, None] = {}
        for file in self._files():
            with contextlib.suppress(ModelRefused):
                found[str(read_key_file(file).key.keyid)] = None
        return list(found)[:MOST_TRIED]

    def _files(self) -> list[Path]:
        try:
            paths = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
            # A mounted ConfigMap has additional directories and links, whose names begin with a dot.
            files = [path for path in paths if path.is_file() and not path.name.startswith(".")]
        except OSError as error:
            raise TargetError(f"the trusted keys cannot be read: {error.strerror}", where=str(self.path)) from error
        if not files:
            hint = "mount a file of the signer's directory keys/trusted, or the signer's public key in PEM"
            raise TargetError("there are no trusted keys", where=str(self.path), hint=hint)
        return files

    def _all(self, key_id: str) -> list[TrustedFile]:
        unreadable: ModelRefused | None = None
        found: list[TrustedFile] = []
        for file in self._files():
            try:
                trusted = read_key_file(file)
            except ModelRefused as error:
                if file.name == f"{key_id}.json":
                    # What it says of this key may be that it was revoked.
                    raise
                # Several people add keys here: what one of them has spoilt takes nobody else's trust away.
                unreadable = unreadable or error
                continue
            if trusted.key.keyid == key_id:
                found.append(trusted)
        if not found:
            raise unreadable or untrusted_error(key_id, self.path)
        return found


class OneKey:
    """One public key, given as `to_dict` of it with `keyid`: that of somebody who has shown it."""

    def __init__(self, key: Mapping[str, object]) -> None:
        self._key = key

    def conditions(self, key_id: str) -> Conditions:
        """None: it is trusted for what it is asked about."""
        return Conditions()

    def key_ids(self) -> list[str]:
        """Its id."""
        return [str(self._key.get("keyid", ""))]

    def public(self, key_id: str) -> Key:
        """The key. Raises ModelRefused for any other id, and for what is no key."""
        from securesystemslib.signer import Key

        if key_id != self._key.get("keyid"):
            raise ModelRefused(f"it is signed by the key {key_id[:16]}, which is another one")
        try:
            return Key.from_dict(key_id, {name: value for name, value in self._key.items() if name != "keyid"})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelRefused("the key cannot be read") from error


def is_readable(keys: TrustedKeys, key_id: str) -> bool:
    """Whether the file of a trusted key is one: what somebody has spoilt is no reason to try no other key."""
    try:
        keys.public(key_id)
    except ModelRefused:
        return False
    return True


def untrusted_error(key_id: str, place: Path) -> ModelRefused:
    """What is raised for a key that is not trusted at a place."""
    return ModelRefused(
        f"it is signed by the key {key_id[:64]}, which is not trusted here",
        hint=f"if you know the signer, copy the key's file to {place}",
    )
