"""Builds a text of blocks, for formats whose text is not the file itself."""

from __future__ import annotations

from plimsoll.indexes.documents import Block, BlockKind

SEPARATOR = "\n\n"


class TextBuilder:
    """Collects blocks and joins their texts."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Add a block; one of nothing but white space is left out."""
        text = text.strip()
        if not text:
            return
        start = self._length + (len(SEPARATOR) if self._parts else 0)
        self._parts.append(text)
        self._blocks.append(Block(kind, start, start + len(text), level))
        self._length = start + len(text)

    def result(self) -> tuple[str, tuple[Block, ...]]:
        """The text and its blocks."""
        return SEPARATOR.join(self._parts), tuple(self._blocks)
