"""Heads of HTTP/1.1 requests, and bodies in chunks. Pure: bytes in, values out.

llhttp (through httptools) reads the head, strictly; framing is taken from what it has read and from nothing else.
Source: RFC 9112 (HTTP/1.1), RFC 9110 (semantics).
"""

from __future__ import annotations

import urllib.parse
from typing import Any

import httptools

LARGEST_HEAD = 32 << 10
"""Bytes of a request's line and headers together."""
LONGEST_CHUNK_LINE = 256
"""Bytes of a chunk's size with its extensions, and of one trailer."""
MOST_TRAILERS = 32


class BadHead(Exception):
    """A request that cannot be read on: it is answered with `status`, then the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Head:
    """What a request's first lines say. `length` is the body's in bytes, `None` when it comes in chunks.

    `json_length` is the binary tensor data extension's header. `resource` is room for what the path has been found to
    name, so that a head that comes again need not be looked at again.
    """

    __slots__ = ("expects", "headers", "json_length", "keep_alive", "length", "method", "path", "resource")

    def __init__(self, method: str, path: str, headers: dict[str, str], *, keep_alive: bool) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.length: int | None = 0
        self.json_length: str | None = headers.get("inference-header-content-length")
        self.expects = False
        self.resource: Any = None


class _Seen:
    """llhttp's callbacks."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.complete = False

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        # A header that comes twice is one list (RFC 9110, 5.3); llhttp refuses two lengths.
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.complete = True


def read_head(raw: bytes) -> Head:
    """The head in `raw`, which ends with the empty line. Raises BadHead."""
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        # A wish to speak another protocol may be left unheard (RFC 9110, 7.8).
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, f"this is no HTTP request: {error}") from error
    if not seen.complete or not seen.url:
        raise BadHead(400, "this is no HTTP request")
    head = Head(parser.get_method().decode("latin-1"), _path(seen.url), seen.headers, keep_alive=True)
    # Clients of the older version want to be told that the connection stays; they are few, and it does not.
    head.keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
    _frame(head)
    return head


def _frame(head: Head) -> None:
    coding = head.headers.get("transfer-encoding")
    length = head.headers.get("content-length")
    if coding is not None and length is not None:
        raise BadHead(400, "the request has both Content-Length and Transfer-Encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise BadHead(501, f"the transfer coding '{coding[:40]}' is not supported; send the body chunked")
        head.length = None
    elif length is not None:
        if not (length.isascii() and length.isdigit()) or len(length) > 15:
            raise BadHead(400, "Content-Length is not a number of bytes")
        head.length = int(length)
    encoding = head.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise BadHead(415, f"the content coding '{encoding[:40]}' is not supported; send the body as it is")
    expects = head.headers.get("expect")
    if expects is not None:
        if expects.strip().lower() != "100-continue":
            raise BadHead(417, f"the expectation '{expects[:40]}' cannot be met")
        head.expects = True


def _path(url: bytes) -> str:
    """The path of a request's target, decoded; a query is not part of it."""
    text = url.decode("latin-1")
    if not text.startswith("/"):
        text = urllib.parse.urlsplit(text).path if "://" in text else text
    return urllib.parse.unquote(text.partition("?")[0], errors="replace")


class Chunks:
    """A body that comes in chunks, put together as it comes."""

    def __init__(self, largest: int) -> None:
        self.body = bytearray()
        self._largest = largest
        self._left = 0
        """Bytes of the present chunk that have not come, with the line end after it."""
        self._trailers: int | None = None

    def feed(self, data: bytearray) -> bool:
        """Take from the front of `data` what belongs to the body; true when it has ended. Raises BadHead."""
        while True:
            if self._left > 2:
                taken = min(self._left - 2, len(data))
                self.body += data[:taken]
                del data[:taken]
                self._left -= taken
                if self._left > 2:
                    return False
            if self._left:
                if len(data) < 2:
                    return False
                if data[:2] != b"\r\n":
                    raise BadHead(400, "a chunk is longer than it says")
                del data[:2]
                self._left = 0
            end = data.find(b"\r\n", 0, LONGEST_CHUNK_LINE)
            if end < 0:
                if len(data) >= LONGEST_CHUNK_LINE:
                    raise BadHead(400, "a chunk's size or a trailer is too long")
                return False
            line = bytes(data[:end])
            del data[: end + 2]
            if self._ended(line):
                return True

    def _ended(self, line: bytes) -> bool:
        if self._trailers is not None:
            self._trailers += 1
            if self._trailers > MOST_TRAILERS:
                raise BadHead(400, "there are too many trailers")
            return not line
        digits = line.partition(b";")[0].strip(b" \t")
        if not digits or len(digits) > 12 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadHead(400, "a chunk's size is no hexadecimal number")
        size = int(digits, 16)
        if size == 0:
            self._trailers = 0
            return False
        if len(self.body) + size > self._largest:
            raise BadHead(413, f"the body is larger than {self._largest} bytes")
        self._left = size + 2
        return False
