"""What the vectors of a version are called in a store. Pure, apart from the random part of a name."""

from __future__ import annotations

import re
import secrets

from plimsoll.indexes.layout import StorePlace

PREFIX = "plimsoll_"


def fresh_name(index: str) -> tuple[str, str]:
    """A name that nobody has, and a mark that nobody can guess: applications may share a database.

    PostgreSQL takes names of 63 letters, and makes names of a table's indexes from it.
    """
    mark = secrets.token_hex(16)
    return f"{PREFIX}{re.sub(r'[^a-z0-9]', '_', index)[:30]}_{mark[:12]}", mark


def shown(place: StorePlace) -> str:
    """A place for a sentence. Its address is not shown: it may have a password."""
    name = f"{place.schema}.{place.name}" if place.schema else place.name
    return f"{place.kind} {name}"
