"""PDF, page by page. A page is a section whose heading is its number."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from plimsoll.indexes.parsing.building import TextBuilder
from plimsoll.indexes.parsing.problems import BadDocument
from plimsoll.indexes.parsing.text import paragraphs

if TYPE_CHECKING:
    from plimsoll.indexes.documents import Block


def parse(content: bytes) -> tuple[str, tuple[Block, ...]]:
    """Read the text of a PDF. Raises BadDocument for one that is encrypted, or that has pictures of text alone."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    builder = TextBuilder()
    try:
        reader = PdfReader(io.BytesIO(content))
        is_locked = bool(reader.is_encrypted and not reader.decrypt(""))
        pages = 0 if is_locked else len(reader.pages)
        for number, page in zip(range(1, pages + 1), reader.pages, strict=True):
            text = page.extract_text()
            if text.strip():
                builder.add("heading", f"page {number}", 1)
            for block in paragraphs(text):
                builder.add("paragraph", text[block.start : block.end])
    # A PDF that is cut off or made to harm ends in any of these within the parser.
    except (PyPdfError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise BadDocument(f"is no PDF that can be read: {str(error)[:200] or type(error).__name__}") from None
    if is_locked:
        raise BadDocument("is encrypted with a password")
    text, blocks = builder.result()
    if not blocks:
        raise BadDocument(f"has no text in its {pages} pages, which may be scans: run a text recognition over it first")
    return text, blocks
