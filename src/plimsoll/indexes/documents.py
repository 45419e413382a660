"""Documents as an index takes them: their text, and which parts of it belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

BlockKind = Literal["heading", "paragraph", "table", "code"]


class Block(Struct, frozen=True, array_like=True):
    """A part of a text, in characters from its beginning: `text[start:end]`.

    A table and a block of code are kept whole where a chunk has room for them. `level` is that of a heading, from 1.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0


class Document(Struct, frozen=True, kw_only=True):
    """One document.

    `id` is unique in an index. `source` is the file it comes from, relative to the dataset, with the number of the row
    for a row of a table. `text` is what was read of it; of plain text and Markdown it is the file itself, so that
    offsets lead back into the source. `access` has the labels whose holders may see it; empty means everybody.
    """

    id: str
    source: str
    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    metadata: Mapping[str, str] = {}
    access: tuple[str, ...] = ()


class Unreadable(Struct, frozen=True, kw_only=True):
    """A document that could not be read, and why."""

    source: str
    reason: str
