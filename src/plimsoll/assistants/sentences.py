"""Sentences of a text with their places, also of one that is still being written. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from plimsoll.assistants.languages import word_set

_FENCE = re.compile(r"(?m)^[ \t]*```[^\n]*(?:\n|\Z)")
_END = re.compile(r"""(?x)
    (?<![$@%&\s.!?]) [.!?]+ [*_"'”’)\]]* (?=\s+\S) | [。！？]+ [”’」』）]* | \n
""")  # fmt: skip
_ABBREVIATIONS = word_set(
    "e.g i.e etc vs cf al dr mr mrs ms prof no nr fig eq sec ch vol approx resp z.b d.h u.a bzw ca usw p.ex sr sra"
)
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“]*$")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\(?\w{1,3}\.$")
_MOST_LOOK_BACK = 40


class Sentence(Struct, frozen=True):
    """A sentence, a line of a list, or a block of code: `text` is `start` to `end`."""

    start: int
    end: int
    text: str


def split(text: str, begin: int = 0) -> list[Sentence]:
    """The sentences of a text from a place on, which is the start of one. Every other character is a space.

    Those before the last one stay as they are whatever is written after the text.
    """
    found: list[Sentence] = []
    at = begin
    while at < len(text):
        end = _code_end(text, at) or _prose_end(text, at)
        stripped = text[at:end].strip()
        if stripped:
            start = at + len(text[at:end]) - len(text[at:end].lstrip())
            found.append(Sentence(start, start + len(stripped), stripped))
        at = end
    return found


_WRAPPED = re.compile(r"(?<=\S)\n(?=\S)(?![-*•#>|+=]|\(?\d{1,3}[.)]\s)")


def unwrapped(text: str) -> str:
    """A text of a document with each paragraph on one line; lists, tables and indented code stay as they are."""
    return _WRAPPED.sub(" ", text)


def _code_end(text: str, at: int) -> int | None:
    """The end of the block of code that begins here; None where none begins."""
    line = at + len(text[at:]) - len(text[at:].lstrip())
    opening = _FENCE.match(text, text.rfind("\n", 0, line) + 1) if text.startswith("```", line) else None
    if opening is None or opening.end() <= line:
        return None
    closing = _FENCE.search(text, opening.end())
    return closing.end() if closing else len(text)


def _prose_end(text: str, at: int) -> int:
    """The end of the sentence that begins here."""
    at += len(text[at:]) - len(text[at:].lstrip())
    for match in _END.finditer(text, at):
        if match[0] == "\n":
            # A line that goes on with a small letter is wrapped.
            if not text[match.end() : match.end() + 1].islower():
                return match.end()
        elif not match[0].startswith(".") or _ends(text, match):
            return match.end()
    return len(text)


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence, and is not that of an abbreviation or of a number in a list."""
    before = text[max(0, match.start() - _MOST_LOOK_BACK) : match.start()]
    word = _WORD_BEFORE.search(before)
    if word and (word[0].casefold() in _ABBREVIATIONS or (len(word[0]) == 1 and word[0].isalpha())):
        return False
    return not _LIST_NUMBER.search(before + ".")
