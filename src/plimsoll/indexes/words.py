"""The words of a text, as lexical search compares them. Pure."""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_WORDS = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
MOST_LETTERS = 64
"""A longer word (a key, a line of base64) is found by its beginning."""


def words(text: str) -> list[str]:
    """Words in the order of the text, without case; text of scripts without spaces gives each pair of letters."""
    found: list[str] = []
    for match in _WORDS.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        if _IS_UNSPACED.match(word) and len(word) > 1:
            found += (word[at : at + 2] for at in range(len(word) - 1))
        else:
            found.append(word[:MOST_LETTERS])
    return found
