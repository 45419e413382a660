"""What the versions of an index are called. Pure."""

from __future__ import annotations

PREFIX = "indexes."
"""Before the name of an index where versions are named: no model is called so, as names have no dots."""


def versions_of(index: str) -> str:
    """What the versions of an index are called: `indexes.manuals@2` is one of `manuals`."""
    return PREFIX + index
