"""HTTP responses, and their bytes in HTTP/1.1. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus

import msgspec
from msgspec import Struct

JSON = b"application/json"
BINARY = b"application/octet-stream"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Buffer = bytes | memoryview


class Response(Struct, gc=False):
    """A status and a body. `headers` are whole header lines, without the content type, the length and the date."""

    status: int
    body: bytes | list[Buffer]
    content_type: bytes = JSON
    headers: bytes = b""


class Stream(Struct, gc=False):
    """A response of which the end is not known when it begins. `pieces` is closed when its client has gone."""

    pieces: AsyncIterator[bytes]
    content_type: bytes
    headers: bytes = b""


Reply = Response | Awaitable[Response | Stream]
"""A response, or one that is awaited where it takes longer."""

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_OK = _LINES[200] + b"content-type: application/json\r\ncontent-length: "


def encoded(response: Response, date: bytes, *, last: bool, bodiless: bool) -> list[Buffer]:
    """The bytes of a response, in parts. `date` is a whole header line; `last` closes the connection after it."""
    body = response.body
    if response.status == 200 and not last and not bodiless and type(body) is bytes and response.content_type is JSON:
        return [b"%b%d\r\n%b\r\n%b" % (_OK, len(body), date, body)]
    parts: list[Buffer] = body if isinstance(body, list) else [body]
    head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b%b\r\n" % (
        _LINES.get(response.status, _LINES[500]),
        response.content_type,
        sum(map(len, parts)),
        date,
        response.headers,
        b"connection: close\r\n" if last else b"",
    )
    if bodiless:
        return [head]
    return [head, *(part for part in parts if len(part))]


def stream_head(stream: Stream, date: bytes, *, last: bool) -> bytes:
    """The head of a stream, whose pieces are chunks."""
    return b"%bcontent-type: %b\r\ntransfer-encoding: chunked\r\n%b%b%b\r\n" % (
        _LINES[200],
        stream.content_type,
        date,
        stream.headers,
        b"connection: close\r\n" if last else b"",
    )


def json_response(value: object, status: int = 200, headers: bytes = b"") -> Response:
    """A value in JSON."""
    return Response(status, msgspec.json.encode(value), JSON, headers)


def error(status: int, reason: str, headers: bytes = b"") -> Response:
    """An error in the shape of the Open Inference Protocol."""
    return json_response({"error": reason}, status, headers)
