"""Licences: their names of SPDX, and whether one is among those that are allowed. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

_LICENCE, _VERSION = r"( licen[cs]e)?", r"[,-]?( version| v\.?)? ?v?"
_KNOWN = tuple(
    (re.compile(form), name)
    for form, name in (
        (rf"(the )?apache( software)?{_LICENCE}({_VERSION}2(\.0)?)?{_LICENCE}", "Apache-2.0"),
        (rf"(the )?mit{_LICENCE}|expat", "MIT"),
        (rf"(the )?(new |modified )?bsd[ -]3[ -]clause{_LICENCE}", "BSD-3-Clause"),
        (rf"(the )?(simplified )?bsd[ -]2[ -]clause{_LICENCE}", "BSD-2-Clause"),
        (rf"isc{_LICENCE}( \(iscl\))?", "ISC"),
        (rf"(the )?mozilla public{_LICENCE}{_VERSION}2\.0( \(mpl 2\.0\))?", "MPL-2.0"),
    )
)


def spdx_name(text: str) -> str:
    """The name that SPDX has for a licence, for the few whose other names are common; else the text as it is."""
    plain = " ".join(text.split()).casefold()
    return next((name for form, name in _KNOWN if form.fullmatch(plain)), text)


def is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Whether an SPDX expression can be met by allowed licences: one side of each OR, both sides of each AND."""
    known = {each.casefold() for each in allowed}
    if licence.casefold() in known:
        return True
    words = re.findall(r"\(|\)|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", licence, re.IGNORECASE)
    try:
        met, rest = _either(words[:200], known)
    except (IndexError, RecursionError):
        return False
    return met and not rest


def _either(words: list[str], known: Collection[str]) -> tuple[bool, list[str]]:
    met, words = _both(words, known)
    while words and words[0].upper() == "OR":
        other, words = _both(words[1:], known)
        met = met or other
    return met, words


def _both(words: list[str], known: Collection[str]) -> tuple[bool, list[str]]:
    met, words = _one(words, known)
    while words and words[0].upper() == "AND":
        other, words = _one(words[1:], known)
        met = met and other
    return met, words


def _one(words: list[str], known: Collection[str]) -> tuple[bool, list[str]]:
    """Raises IndexError where an expression ends too early."""
    if words[0] == "(":
        met, rest = _either(words[1:], known)
        if rest[0] != ")":
            raise IndexError
        return met, rest[1:]
    return " ".join(words[0].split()).casefold() in known, words[1:]
