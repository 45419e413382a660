"""HTML, by its block elements; scripts, styles, navigation and what is hidden are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from plimsoll.indexes.parsing.building import TextBuilder
from plimsoll.indexes.parsing.problems import BadDocument

if TYPE_CHECKING:
    from lxml.html import HtmlElement

    from plimsoll.indexes.documents import Block

_LEFT_OUT = {"script", "style", "noscript", "template", "nav", "svg", "head", "iframe", "object"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = {
    "p",
    "li",
    "dt",
    "dd",
    "blockquote",
    "figcaption",
    "td",
    "th",
    "caption",
    "div",
    "section",
    "article",
    "main",
}
_DEPTH = 200


def parse(content: bytes) -> tuple[str, tuple[Block, ...]]:
    """Read HTML in the encoding that it names, else UTF-8."""
    from lxml import etree
    from lxml.html import HTMLParser, document_fromstring

    parser = HTMLParser(encoding=None if b"charset" in content[:4096].lower() else "utf-8", huge_tree=False)
    try:
        root = document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise BadDocument(f"is no HTML: {error}") from None
    builder = TextBuilder()
    _walk(root, builder, 0)
    return builder.result()


def _walk(element: HtmlElement, builder: TextBuilder, depth: int) -> None:
    """Add the blocks of an element: its own loose words first, each child after what comes before it."""
    if depth > _DEPTH:
        raise BadDocument(f"has elements in elements, more than {_DEPTH} deep")
    loose: list[str] = [element.text or ""]
    for child in element:
        if _is_left_out(child):
            pass
        elif child.tag == "br":
            loose.append(" ")
        elif child.tag in _HEADINGS:
            _flush(loose, builder)
            builder.add("heading", _words(child), _HEADINGS[child.tag])
        elif child.tag == "pre":
            _flush(loose, builder)
            builder.add("code", child.text_content())
        elif child.tag == "table":
            _flush(loose, builder)
            builder.add("table", "\n".join(" | ".join(cells) for cells in _rows(child)))
        elif child.tag in _BLOCKS or any(each.tag in _BLOCKS or each.tag in _HEADINGS for each in child.iter()):
            _flush(loose, builder)
            _walk(child, builder, depth + 1)
        else:
            loose.append(_words(child))
        loose.append(child.tail or "")
    _flush(loose, builder)


def _flush(loose: list[str], builder: TextBuilder) -> None:
    builder.add("paragraph", re.sub(r"\s+", " ", "".join(loose)))
    loose.clear()


def _is_left_out(element: HtmlElement) -> bool:
    # Comments and processing instructions have a function for a tag.
    if not isinstance(element.tag, str) or element.tag in _LEFT_OUT:
        return True
    return "hidden" in element.attrib or element.get("aria-hidden") == "true"


def _words(element: HtmlElement) -> str:
    return re.sub(r"\s+", " ", "".join(_visible(element)))


def _visible(element: HtmlElement) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if not _is_left_out(child):
            yield from _visible(child) if child.tag != "br" else " "
        yield child.tail or ""


def _rows(table: HtmlElement) -> Iterator[list[str]]:
    for row in table.iter("tr"):
        yield [_words(cell).strip() for cell in row if cell.tag in {"td", "th"}]
