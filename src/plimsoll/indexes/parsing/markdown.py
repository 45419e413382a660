"""Markdown, by the lines of its top-level blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plimsoll.indexes.documents import Block, BlockKind
from plimsoll.indexes.parsing.problems import decoded

if TYPE_CHECKING:
    from markdown_it.token import Token

_LINE_END = re.compile(r"\r\n?|\n")
_KINDS: dict[str, BlockKind] = {
    "heading_open": "heading",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}


def parse(content: bytes) -> tuple[str, tuple[Block, ...]]:
    """Read Markdown (CommonMark with tables). Offsets are those of the file."""
    from markdown_it import MarkdownIt

    text = decoded(content)
    # `splitlines` knows more ends of lines than Markdown has, which would shift all offsets.
    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    found = (_block(token, starts, text) for token in tokens if token.level == 0 and token.map and token.nesting >= 0)
    return text, tuple(block for block in found if block.end > block.start)


def _block(token: Token, starts: list[int], text: str) -> Block:
    first, last = token.map or (0, 0)
    start, end = starts[first], starts[min(last, len(starts) - 1)]
    while end > start and text[end - 1].isspace():
        end -= 1
    level = int(token.tag[1:]) if token.type == "heading_open" else 0
    return Block(_KINDS.get(token.type, "paragraph"), start, end, level)
