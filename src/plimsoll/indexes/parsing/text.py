"""Plain text: paragraphs are what empty lines divide."""

from __future__ import annotations

import re

from plimsoll.indexes.documents import Block
from plimsoll.indexes.parsing.problems import decoded

_PARAGRAPH = re.compile(r"\S(?:.*\S)?(?:\n[^\S\n]*\S.*)*")


def parse(content: bytes) -> tuple[str, tuple[Block, ...]]:
    """Read plain text."""
    text = decoded(content)
    return text, paragraphs(text)


def paragraphs(text: str) -> tuple[Block, ...]:
    """The paragraphs of a text without other structure."""
    return tuple(Block("paragraph", match.start(), match.end()) for match in _PARAGRAPH.finditer(text))
