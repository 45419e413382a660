"""Heads of HTTP/1.1 requests, and chunked bodies. Pure: bytes in, values out.

llhttp (through httptools) parses the head strictly; the length of the body is taken from its result only.
Source: RFC 9112 (HTTP/1.1), RFC 9110 (semantics).
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Protocol

import httptools

from plimsoll.runtime.server.identities.callers import Role
from plimsoll.runtime.server.refusals import Refusal, TooLarge
from plimsoll.runtime.server.responses import Buffer, Reply, Response

LARGEST_HEAD = 32 << 10
"""Bytes of the request line and the headers together."""
LONGEST_CHUNK_LINE = 256
"""Bytes of a chunk's size with its extensions, and of one trailer."""
MOST_TRAILERS = 32
MOST_HEADERS = 128
"""Lines of one head: each costs a call, also when it is as short as two bytes."""
CHUNKS_AT_ONCE = 256
"""Chunks that are taken before other connections have their turn."""
FREE_CHUNKS = 4096
SMALLEST_CHUNK = 16
"""Chunks of any size in one body; beyond their number, chunks have this many bytes on average."""
_REQUEST_LINE = re.compile(rb"[A-Z-]+ [^\s\x00-\x20\x7f]+ HTTP/([0-9]\.[0-9])\r\n")
_NO_LINE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters, which a line of a chunked body cannot have: some reader would see two lines in it."""
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:.*")


_NEEDLESS = re.compile(r"%(2[DdEeFf]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")
"""Encodings of characters that need none: rules of proxies that look at the path would be passed by them."""


class BadHead(Exception):
    """A request after which the stream cannot be read: it is answered with `status`, then the connection is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ErrorShape(Protocol):
    """How refusals look to the client: its front decides."""

    def refused(self, refusal: Refusal) -> Response:
        """The response for a request that is not answered."""


class Endpoint:
    """Answers the requests of one method and path. `model` is empty when they are not inferences.

    `private` says that it tells of all requests, or changes the server: it is for nobody's pages in a browser.
    `largest` is in bytes of a body, where it is not that of all others. `cancels` says that an answer is of no use once
    its client has gone, and costs much until it is complete. `role` is what a caller needs where the server asks for
    it; `None` for what everybody is told. `recorded` says that its answers are recorded where they are made, as those
    to inferences are; `probe` that they are asked for so often that only refused ones are recorded.
    """

    __slots__ = ("cancels", "errors", "largest", "model", "private", "probe", "recorded", "respond", "role")

    def __init__(
        self,
        respond: Callable[[Head, Buffer, str], Reply],
        errors: ErrorShape,
        model: str = "",
        *,
        private: bool = False,
        largest: int | None = None,
        cancels: bool = False,
        role: Role | None = "infer",
        recorded: bool = False,
        probe: bool = False,
    ) -> None:
        """`respond` takes the head, the body and the client's address; `errors` shapes what goes wrong around it."""
        self.private = private
        self.role = role
        self.largest = largest
        self.cancels = cancels
        self.recorded = recorded or bool(model)
        self.probe = probe
        self.respond = respond
        self.errors = errors
        self.model = model


class Head:
    """The request line and the headers. `length` is the body's in bytes, `None` for a chunked body.

    `headers` have names in small letters. `expects` says that the client waits for `100 Continue`. `json_length` is the
    header of the binary tensor data extension. `endpoint` is set by the server when it has found which one answers:
    clients repeat their heads, and the head of a known one is not parsed or routed again.
    """

    __slots__ = ("endpoint", "expects", "headers", "json_length", "keep_alive", "length", "method", "path")

    def __init__(self, method: str, path: str, headers: dict[str, str], *, keep_alive: bool) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.length: int | None = 0
        self.json_length: str | None = headers.get("inference-header-content-length")
        self.expects = False
        self.endpoint: Endpoint | None = None


class _Parsed:
    """Collects the results of llhttp's callbacks."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.hosts = 0
        self.complete = False

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self.hosts += key == "host"
        # Repeated headers are one list (RFC 9110, 5.3); llhttp refuses two Content-Length headers.
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.complete = True


def read_head(raw: bytes) -> Head:
    """The head in `raw`, which ends with the empty line. Raises BadHead."""
    version = _version(raw)
    parsed = _Parsed()
    parser = httptools.HttpRequestParser(parsed)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        # A server may ignore an Upgrade header (RFC 9110, 7.8).
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, f"this is not an HTTP request: {error}") from error
    if not parsed.complete or not parsed.url:
        raise BadHead(400, "this is not an HTTP request")
    if parsed.hosts > 1 or (version == b"1.1" and not parsed.hosts):
        raise BadHead(400, f"the request has {parsed.hosts or 'no'} Host headers; HTTP/1.1 wants one")
    head = Head(parser.get_method().decode("latin-1"), _path(parsed.url), parsed.headers, keep_alive=True)
    # HTTP/1.0 clients would need a `keep-alive` header in the response; they are few, so their connection is closed.
    # llhttp's own answer is wrong for a request without a body: it forgets the header when the request is complete.
    options = parsed.headers.get("connection", "").lower().split(",")
    head.keep_alive = version == b"1.1" and "close" not in map(str.strip, options)
    _frame(head)
    if version == b"1.0" and head.length is None:
        raise BadHead(400, "HTTP/1.0 has no chunked bodies")
    return head


def _version(raw: bytes) -> bytes:
    """The version in the request line, which llhttp reads more loosely than RFC 9112. Raises BadHead."""
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise BadHead(400, "this is not an HTTP request: its first line is not of the form `METHOD /path HTTP/1.1`")
    if line[1] not in {b"1.0", b"1.1"}:
        raise BadHead(505, f"HTTP/{line[1].decode()} is not supported here; use HTTP/1.1")
    if raw.count(b"\n") > MOST_HEADERS:
        raise BadHead(431, f"the head has more than {MOST_HEADERS} lines")
    return line[1]


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
            raise BadHead(417, f"the expectation '{expects[:40]}' is not supported")
        head.expects = True


def _path(url: bytes) -> str:
    """The decoded path of a request target, without its query."""
    text = url.decode("latin-1")
    if not text.startswith("/"):
        text = urllib.parse.urlsplit(text).path if "://" in text else text
    path = text.partition("?")[0]
    if _NEEDLESS.search(path):
        raise BadHead(400, "letters, digits, '-', '.', '_', '~' and '/' must not be percent-encoded in a path")
    return urllib.parse.unquote(path, errors="replace")


class Chunks:
    """A chunked body, joined while it is received."""

    def __init__(self, largest: int) -> None:
        self.body = bytearray()
        self.paused = False
        """There may be more chunks in what has been received."""
        self._chunks = 0
        self._largest = largest
        self._left = 0
        """Bytes of the present chunk that are not received yet, with the line end after it."""
        self._trailers: int | None = None

    @property
    def received(self) -> int:
        """Bytes of the body so far."""
        return len(self.body)

    def feed(self, data: bytearray) -> bool:
        """Remove the body's bytes from the start of `data`; true when it is complete. Raises BadHead, TooLarge.

        It stops after some chunks with `paused`, as a body of many small ones takes long; call it again then.
        """
        self.paused = False
        for _ in range(CHUNKS_AT_ONCE):
            if not self._take(data):
                return False
            end = data.find(b"\r\n", 0, LONGEST_CHUNK_LINE)
            if end < 0:
                if len(data) >= LONGEST_CHUNK_LINE:
                    raise BadHead(400, "a chunk's size or a trailer is too long")
                return False
            line = bytes(data[:end])
            del data[: end + 2]
            if self._ended(line):
                return True
        self.paused = True
        return False

    def _take(self, data: bytearray) -> bool:
        """Take the bytes of the present chunk and the line end after it; true when they are all there."""
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
                raise BadHead(400, "a chunk is longer than its size says")
            del data[:2]
            self._left = 0
        return True

    def _ended(self, line: bytes) -> bool:
        if _NO_LINE.search(line):
            raise BadHead(400, "a line between the chunks has a control character")
        if self._trailers is not None:
            self._trailers += 1
            if self._trailers > MOST_TRAILERS:
                raise BadHead(400, "there are too many trailers")
            if line and not _TRAILER.fullmatch(line):
                raise BadHead(400, "a line after the last chunk is not of the form `name: value`")
            return not line
        # White space is allowed before an extension and nowhere else (RFC 9112, 7.1.1).
        digits, extended, _ = line.partition(b";")
        digits = digits.rstrip(b" \t") if extended else digits
        if not digits or len(digits) > 12 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadHead(400, "a chunk's size is not a hexadecimal number")
        size = int(digits, 16)
        if size == 0:
            self._trailers = 0
            return False
        if len(self.body) + size > self._largest:
            raise TooLarge(f"the body is larger than {self._largest} bytes")
        self._chunks += 1
        if self._chunks > FREE_CHUNKS + (len(self.body) + size) // SMALLEST_CHUNK:
            raise BadHead(400, f"the body has {self._chunks} chunks for {len(self.body)} bytes; send larger ones")
        self._left = size + 2
        return False
