"""Content encodings of HTTP (RFC 9110, 8.4): data that a server compresses although the request asks for none."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

GZIP = frozenset({"gzip", "x-gzip"})
DEFLATE = "deflate"
PIECE = 1 << 20
"""Bytes that are decoded at once, whatever a small piece expands to."""
_NONE = frozenset({"", "identity", "aws-chunked"})
_ARCHIVES = (".gz", ".tgz", ".z")


class UnfinishedEncoding(Exception):
    """The encoded data ends early, or is damaged."""


def encoding_of(header: str, path: str) -> str:
    """The encoding to undo; empty for none.

    Servers label files such as `data.csv.gz` as encoded, and whoever names such a file wants it as it is.
    """
    named = [each.strip().lower() for each in header.split(",")]
    encoding = ", ".join(each for each in named if each not in _NONE)
    return "" if encoding in GZIP and path.lower().endswith(_ARCHIVES) else encoding


def is_known(encoding: str) -> bool:
    """Whether `decoded` can undo an encoding."""
    return encoding in GZIP or encoding == DEFLATE


def decoded(encoding: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Undo an encoding piece by piece. Raises UnfinishedEncoding for data that is cut or damaged."""
    bits = zlib.MAX_WBITS | 16 if encoding in GZIP else zlib.MAX_WBITS
    decoder = zlib.decompressobj(bits)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if decoder.eof and not rest.strip(b"\0"):
                    # Members may be padded with zeros.
                    break
                if decoder.eof:
                    # A gzip file may have several members, one after the other.
                    decoder = zlib.decompressobj(bits)
                yield decoder.decompress(rest, PIECE)
                rest = decoder.unconsumed_tail or decoder.unused_data
    except zlib.error as error:
        raise UnfinishedEncoding(f"the data is not valid {encoding}: {error}") from error
    while not decoder.eof:
        more = decoder.decompress(decoder.unconsumed_tail, PIECE)
        if not more:
            raise UnfinishedEncoding(f"the {encoding} data ended early")
        yield more
