"""The files that a page of a Python index lists, where the index has no JSON. Source: PEP 503."""

from __future__ import annotations

import urllib.parse
from html.parser import HTMLParser

from msgspec import Struct


class IndexFile(Struct, frozen=True):
    """An archive of a project: its name, its address, its digests by algorithm."""

    filename: str
    url: str
    hashes: dict[str, str] = {}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if address:
            url, _, fragment = address.partition("#")
            algorithm, _, digest = fragment.partition("=")
            name = urllib.parse.unquote(url.partition("?")[0].rpartition("/")[2])
            self.found.append(IndexFile(filename=name, url=url, hashes={algorithm: digest} if digest else {}))


def links_of(content: bytes) -> list[IndexFile]:
    """All files that a page links to."""
    reader = _Links()
    reader.feed(content.decode("utf-8", errors="replace"))
    return reader.found
