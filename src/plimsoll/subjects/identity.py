"""The id of a person as cells and texts have it. Pure.

Two writings are the same id when they differ in white space round them, in the way in which Unicode composes a
character, or as `7` and `7.0` do, which is what tables make of a number beside an empty cell. `007` is another id than
`7`, and `1` is no part of `11`.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import math
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

LONGEST = 1 << 16
"""Characters of an id."""
_FLOAT = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_KEPT_IN_TEXTS = 4
"""Characters from which on an id with a letter is looked for in texts; one of digits alone needs more."""
_KEPT_DIGITS = 6


@lru_cache(maxsize=1 << 14)
def canonical(text: str) -> str:
    """One writing for all that mean the same id."""
    stripped = text.strip()
    if not stripped.isascii():
        stripped = unicodedata.normalize("NFC", stripped)
    found = _FLOAT.fullmatch(stripped) if stripped.endswith("0") else None
    return found[1] if found else stripped


def cell_text(value: object) -> str | None:
    """A cell of any type as text; None for what is no id: nothing, a truth value, a list."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        # A missing number is nobody.
        return (str(int(value)) if value.is_integer() else str(value)) if math.isfinite(value) else None
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    return None if isinstance(value, list | tuple | dict) else str(value)


class Matcher(Protocol):
    """Tells the cells of one person from all others."""

    def matches(self, cell: object) -> bool:
        """Whether a cell is the id."""
        ...

    def needles(self) -> tuple[bytes, ...]:
        """Bytes of which a file with the id has some; none where only cells can be compared."""
        ...

    @property
    def in_texts(self) -> bool:
        """Whether the id is looked for in texts too, and not in cells alone."""
        ...


class Subject(Struct, frozen=True):
    """A person, by the id that somebody asks for."""

    text: str

    def matches(self, cell: object) -> bool:
        """Whether a cell is the id."""
        found, wanted = cell_text(cell), canonical(self.text)
        # All writings in ASCII have the canonical one in them; most cells are somebody else's.
        if found is None or (found.isascii() and wanted not in found):
            return False
        return canonical(found) == wanted

    @property
    def in_texts(self) -> bool:
        """Whether the id is long enough that a text which has it means this person."""
        text = canonical(self.text)
        return len(text) >= (_KEPT_DIGITS if text.isdigit() else _KEPT_IN_TEXTS)

    def needles(self) -> tuple[bytes, ...]:
        """The id in each encoding that files have it in: a file without any of them does not have it."""
        return _needles(canonical(self.text))

    def digest(self, key: bytes) -> str:
        """What certificates have in place of the id: nobody without the key can tell whose it is."""
        return keyed_digest(self.text, key)


class HashedSubject(Struct, frozen=True):
    """A person of whom only the keyed digest is known, as a certificate has it."""

    digest: str
    key: bytes

    @property
    def in_texts(self) -> bool:
        """A digest finds whole cells alone."""
        return False

    def matches(self, cell: object) -> bool:
        """Whether a cell has the digest."""
        found = cell_text(cell)
        return found is not None and hmac.compare_digest(keyed_digest(found, self.key), self.digest)

    def needles(self) -> tuple[bytes, ...]:
        """None: every cell is compared."""
        return ()


def keyed_digest(text: str, key: bytes) -> str:
    """HMAC-SHA256 of an id, in hexadecimal."""
    return hmac.new(key, canonical(text).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


@lru_cache(maxsize=16)
def _needles(text: str) -> tuple[bytes, ...]:
    written = dict.fromkeys(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys(found for each in written for found in _encoded(each) if found))


def _encoded(text: str) -> Iterable[bytes]:
    plain = text.encode("utf-8", "surrogatepass")
    escaped = json.dumps(text)[1:-1]
    yield plain
    yield escaped.encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    yield text.replace('"', '""').encode("utf-8", "surrogatepass")
    yield html.escape(text).encode("utf-8", "surrogatepass")
    yield html.escape(text, quote=False).encode("utf-8", "surrogatepass")
    yield urllib.parse.quote(plain, safe="").encode()
    for encoding in ("utf-16-le", "utf-32-le"):
        yield text.encode(encoding, "surrogatepass")
