"""How wide text is, and text as lines of a given width. Pure.

A page does not know the font of its reader. The widths are those of DejaVu Sans or more: of the fonts that systems have
for their own surface, none is wider. So what fits by these widths fits everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_NARROW = frozenset("iljftrI.,:;'|!()[]{}-/\\`\" *")
_WIDE = frozenset("mwMWOQ@%&+=<>~#—…✓✗▸■")


def text_width(text: str, size: float) -> float:
    """The width of a line of text in a font of that size, in the same unit."""
    return sum(map(_share, text)) * size


def wrapped(text: str, width: float, size: float, most: int) -> list[str]:
    """Text as at most `most` lines of that width, broken after `-`, `_`, `.`, `/` or a blank where there is one.

    Of a longer text the last line ends with an ellipsis.
    """
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most:
        line = _first_line(rest, width, size)
        if len(lines) == most - 1 and line != rest:
            line = _longest(rest, width - text_width("…", size), size) + "…"
            rest = ""
        lines.append(line.strip())
        rest = rest[len(line) :]
    return lines or [""]


def _first_line(text: str, width: float, size: float) -> str:
    line = _longest(text, width, size)
    if line == text:
        return line
    breaks = [place for place, sign in enumerate(line, start=1) if sign in "-_./ "]
    # A break far to the left would cost a line that a long name needs.
    return line[: breaks[-1]] if breaks and breaks[-1] > len(line) * 0.4 else line


def _longest(text: str, width: float, size: float) -> str:
    """The longest beginning that fits, one character at least."""
    used = 0.0
    for place, sign in enumerate(text):
        used += _share(sign) * size
        if used > width and place:
            return text[:place]
    return text


def _share(sign: str) -> float:
    if sign in _NARROW:
        return 0.42
    if sign in _WIDE or unicodedata.east_asian_width(sign) in "WF" or ord(sign) > 0x2E7F:
        return 1.1
    if unicodedata.combining(sign):
        return 0.0
    return 0.79 if sign.isupper() or ord(sign) > 0x24F else 0.66


def widest(texts: Sequence[str], size: float) -> float:
    """The width of the widest of several lines."""
    return max((text_width(text, size) for text in texts), default=0.0)
