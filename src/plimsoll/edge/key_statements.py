"""Statements about the owner's keys, which devices take before a state: rotations, and revocations.

They lie under a tag of their own. Each is signed: a device follows a rotation of a key that it trusts, and trusts a
key no more when its owner says so, with that key or its successor.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.edge.documents import MAX_DOCUMENT
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.revocation import take_revocation
from plimsoll.signing.rotation import take_rotation

KEYS_TAG = "keys"
_MOST = 64


class DeviceTrust(KeyRing):
    """The owner's keys on a device, which signs nothing with this ring."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, logged=False)
        self.trusted = directory
        self.revoked = directory / ".revoked"


def statements_of(keys: KeyRing) -> bytes | None:
    """All statements of a ring for devices; None without any. Raises TargetError when there are too many."""
    rotations = sorted((keys.directory / "rotations").glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = [*rotations, *sorted(keys.revoked.glob("*.json"))]
    if not found:
        return None
    content = msgspec.json.encode([msgspec.Raw(path.read_bytes()) for path in found[-_MOST:]])
    if len(content) > MAX_DOCUMENT:
        hint = "enroll the devices again: they then trust the present key"
        message = f"the statements about your keys have more than {MAX_DOCUMENT} bytes, which devices do not take"
        raise TargetError(message, where=str(keys.directory / "rotations"), hint=hint)
    return content


def take_statements(content: bytes, trust: KeyRing) -> list[str]:
    """Take statements in their order. Gives a line for each that changed what is trusted; others are passed over."""
    try:
        envelopes = msgspec.json.decode(content, type=list[msgspec.Raw])[:_MOST]
    except UNREADABLE as error:
        raise ModelRefused(f"the statements about keys cannot be read: {error}") from error
    told: list[str] = []
    for envelope in map(bytes, envelopes):
        told += _taken(envelope, trust)
    return told


def _taken(envelope: bytes, trust: KeyRing) -> list[str]:
    before = set(trust.trusted.glob("*.json"))
    try:
        rotation = take_rotation(envelope, trust)
    except ModelRefused:
        # It is none, or of a key that was never trusted here, or that is revoked meanwhile.
        pass
    else:
        grown = set(trust.trusted.glob("*.json")) - before
        return [f"took the key {rotation.new[:16]} in place of {rotation.old[:16]}"] if grown else []
    try:
        listed = set(trust.revoked.glob("*.json"))
        revoked = take_revocation(envelope, trust)
    except ModelRefused:
        return []
    fresh = set(trust.revoked.glob("*.json")) - listed
    return [f"the key {revoked.key[:16]} is revoked: {revoked.reason}"] if fresh else []
