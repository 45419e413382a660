"""Cuts documents into chunks along their structure. Pure.

A chunk never crosses a heading. Tables and code stay whole where a chunk has room for them; what is longer is cut at
sentences, lines, words or, at last, anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from plimsoll.indexes.documents import Block, Document

CountTokens = Callable[[Sequence[str]], list[int]]
"""The number of tokens of each text."""

_SENTENCE = re.compile(r"\S.*?(?:[.!?…]['\")\]]*(?=\s|$)|[。！？]|$)", re.DOTALL)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_WORD = re.compile(r"\S{1,200}")


class Chunk(Struct, frozen=True, array_like=True):
    """A part of a document: `text[start:end]`, below the heading `heading` (empty without one)."""

    start: int
    end: int
    heading: str = ""


class Span(Struct, frozen=True, array_like=True):
    """A part of a text that is not cut further, with its number of tokens."""

    start: int
    end: int
    tokens: int


def chunks(document: Document, count: CountTokens, *, most: int, overlap: int) -> Iterator[Chunk]:
    """The chunks of a document, at most `most` tokens each; neighbours in a section share up to `overlap` tokens."""
    for heading, blocks in _sections(document):
        spans = [span for block in blocks for span in _spans(document.text, block, count, most)]
        for first, last in _packed(spans, most, overlap):
            yield Chunk(spans[first].start, spans[last].end, heading)


def _sections(document: Document) -> Iterator[tuple[str, list[Block]]]:
    """The blocks below each heading, with the path of headings that leads to them."""
    path: list[tuple[int, str]] = []
    held: list[Block] = []
    for block in document.blocks:
        if block.kind != "heading":
            held.append(block)
            continue
        if held:
            yield _joined(path), held
        held = []
        path = [each for each in path if each[0] < block.level]
        path.append((block.level, _heading_text(document.text[block.start : block.end])))
    if held:
        yield _joined(path), held
    elif path and not any(block.kind != "heading" for block in document.blocks):
        # A document of headings alone is found by them.
        yield _joined(path), list(document.blocks)


def _joined(path: list[tuple[int, str]]) -> str:
    return " › ".join(text for _, text in path)


def _heading_text(source: str) -> str:
    """The words of a heading without the marks of Markdown, on one line."""
    lines = [line for line in source.splitlines() if line.strip(" =-\t")]
    return re.sub(r"\s+", " ", " ".join(lines).strip().strip("#")).strip()


def _spans(text: str, block: Block, count: CountTokens, most: int) -> list[Span]:
    """Cut a block into parts of at most `most` tokens, the largest that structure allows."""
    whole = text[block.start : block.end]
    [tokens] = count([whole])
    if block.kind in {"table", "code"} and tokens <= most:
        return [Span(block.start, block.end, tokens)]
    cutters = (_LINE, _WORD) if block.kind in {"table", "code"} else (_SENTENCE, _LINE, _WORD)
    return _cut(text, block.start, block.end, count, most, cutters)


def _cut(
    text: str, start: int, end: int, count: CountTokens, most: int, cutters: tuple[re.Pattern[str], ...]
) -> list[Span]:
    cutter, finer = cutters[0], cutters[1:]
    parts = [(match.start(), match.end()) for match in cutter.finditer(text, start, end)]
    sizes = count([text[first:last] for first, last in parts])
    found: list[Span] = []
    for (first, last), tokens in zip(parts, sizes, strict=True):
        if tokens <= most or last - first == 1:
            found.append(Span(first, last, min(tokens, most)))
        elif finer:
            found += _cut(text, first, last, count, most, finer)
        else:
            # A script without spaces, or a line of base64.
            half = (first + last) // 2
            found += _cut(text, first, half, count, most, cutters) + _cut(text, half, last, count, most, cutters)
    return found


def _packed(spans: Sequence[Span], most: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Which spans, from first to last, make a chunk each."""
    first = 0
    while first < len(spans):
        last, size = first, spans[first].tokens
        while last + 1 < len(spans) and size + spans[last + 1].tokens <= most:
            last += 1
            size += spans[last].tokens
        yield first, last
        if last + 1 == len(spans):
            return
        following, shared = last + 1, 0
        room = min(overlap, most - spans[last + 1].tokens)
        while following - 1 > first and shared + spans[following - 1].tokens <= room:
            following -= 1
            shared += spans[following].tokens
        first = following
