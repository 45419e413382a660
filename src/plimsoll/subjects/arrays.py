"""Elements of NumPy's `.npy` files that are texts, without NumPy: they follow each other with nothing in between."""

from __future__ import annotations

import ast
import re
from typing import IO

from plimsoll.subjects.identity import Matcher

MAGIC = b"\x93NUMPY"
_TEXTS = re.compile(r"[<>|=]([US])([1-9][0-9]{0,8})")
_AT_ONCE = 1 << 16


def texts_of(file: IO[bytes], matcher: Matcher) -> int | None:
    """How many elements are the person; None for what is no array of texts."""
    width, encoding = _form(file)
    if not width:
        return None
    count = 0
    while piece := file.read(width * _AT_ONCE):
        elements = (piece[at : at + width] for at in range(0, len(piece), width))
        count += sum(matcher.matches(each.decode(encoding, "replace").rstrip("\0")) for each in elements)
    return count


def _form(file: IO[bytes]) -> tuple[int, str]:
    """Bytes and encoding of an element; nothing for another kind of array."""
    head = file.read(len(MAGIC) + 2)
    if not head.startswith(MAGIC):
        return 0, ""
    size = int.from_bytes(file.read(2 if head[-2] == 1 else 4), "little")
    if size > _AT_ONCE:
        return 0, ""
    try:
        described = ast.literal_eval(file.read(size).decode("latin-1"))
        found = _TEXTS.fullmatch(str(described["descr"]))
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        return 0, ""
    if found is None:
        return 0, ""
    if found[1] == "S":
        return int(found[2]), "utf-8"
    return 4 * int(found[2]), "utf-32-be" if str(described["descr"]).startswith(">") else "utf-32-le"
