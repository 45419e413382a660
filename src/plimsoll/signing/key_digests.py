"""How statements name a key: `key:<id>`, and a digest of the key itself. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec


def subject_of(key_id: str) -> str:
    """The name of a key in a statement."""
    return f"key:{key_id}"


def key_digest(described: Mapping[str, object]) -> str:
    """The SHA-256 of a key as JSON, its fields in order."""
    return hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()
