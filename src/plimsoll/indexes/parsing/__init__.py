"""Parsers of documents: one module for each format, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plimsoll.indexes.parsing import docx, html, markdown, pdf, text

if TYPE_CHECKING:
    from plimsoll.indexes.documents import Block

Parser = Callable[[bytes], tuple[str, "tuple[Block, ...]"]]
"""Reads the bytes of a file as text and its blocks. Raises BadDocument."""

PARSERS: Mapping[str, Parser] = {
    ".md": markdown.parse,
    ".markdown": markdown.parse,
    ".html": html.parse,
    ".htm": html.parse,
    ".txt": text.parse,
    ".text": text.parse,
    ".rst": text.parse,
    ".pdf": pdf.parse,
    ".docx": docx.parse,
}
