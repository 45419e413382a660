"""Digests of vectors, which are signed with the index: what a store gives is held against them. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

SIZE = 16


def vector_digest(group: int, vector: Array) -> bytes:
    """The digest of a vector and its group. A zero has no sign: some stores do not keep it."""
    return hashlib.blake2b(
        group.to_bytes(8, "little", signed=True) + (vector.astype("<f4") + 0.0).tobytes(), digest_size=SIZE
    ).digest()
