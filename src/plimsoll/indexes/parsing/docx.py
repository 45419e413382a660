"""Word documents (.docx): paragraphs, headings by their style, tables."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from plimsoll.indexes.parsing.building import TextBuilder
from plimsoll.indexes.parsing.problems import BadDocument

if TYPE_CHECKING:
    from plimsoll.indexes.documents import Block

MOST_UNPACKED = 512 * 2**20
"""Bytes of all members together: an archive of a few kilobytes can unpack to any size."""


def parse(content: bytes) -> tuple[str, tuple[Block, ...]]:
    """Read a Word document in the order of its body."""
    from docx import Document as WordDocument
    from docx.opc.exceptions import PackageNotFoundError
    from docx.table import Table
    from lxml import etree

    builder = TextBuilder()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _require_bounded(sum(member.file_size for member in archive.infolist()))
        word = WordDocument(io.BytesIO(content))
        for item in word.iter_inner_content():
            if isinstance(item, Table):
                builder.add("table", "\n".join(" | ".join(cell.text for cell in row.cells) for row in item.rows))
                continue
            heading = re.fullmatch(r"(?:Heading (\d)|Title)", item.style.name if item.style else "")
            level = int(heading[1] or 1) if heading else 0
            builder.add("heading" if heading else "paragraph", item.text, level)
    except (zipfile.BadZipFile, PackageNotFoundError, etree.XMLSyntaxError, KeyError, ValueError) as error:
        if isinstance(error, BadDocument):
            raise
        raise BadDocument(f"is no Word document that can be read: {str(error)[:200]}") from None
    return builder.result()


def _require_bounded(unpacked: int) -> None:
    if unpacked > MOST_UNPACKED:
        raise BadDocument(f"unpacks to {unpacked / 2**20:.0f} MiB; the limit is {MOST_UNPACKED / 2**20:.0f} MiB")
