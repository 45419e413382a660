"""One look at whether a side is ready: `/v2/health/ready` on a connection of its own, as a new client would have it."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from msgspec import Struct

from plimsoll.errors import TargetError

LIMIT = 1.0
"""Seconds for a look."""
_READY = "/v2/health/ready"
_PORTS = {"http": 80, "https": 443}
_LONGEST = 4096


class Side(Struct, frozen=True):
    """Where a side answers: `path` stands before those of the protocol."""

    host: str
    port: int
    path: str
    authority: str
    tls: ssl.SSLContext | None = None


def side_at(url: str, option: str) -> Side:
    """The side at an address. Raises TargetError for what is none; `option` is where it was said."""
    found = urlsplit(url)
    try:
        port = found.port or _PORTS[found.scheme]
    except (KeyError, ValueError):
        raise TargetError(f"'{url}' is not an address", where=option, hint="use http://HOST/PATH") from None
    if not found.hostname:
        raise TargetError(f"'{url}' names no host", where=option, hint="use http://HOST/PATH")
    tls = ssl.create_default_context() if found.scheme == "https" else None
    return Side(found.hostname, port, found.path.rstrip("/"), found.netloc, tls)


async def why_not_ready(side: Side) -> str:
    """Why the side is not ready now; empty when it is."""
    try:
        async with asyncio.timeout(LIMIT):
            return await _asked(side)
    except TimeoutError:
        return f"no answer within {LIMIT:g} s"
    except OSError as error:
        return error.strerror or type(error).__name__


async def _asked(side: Side) -> str:
    reader, writer = await asyncio.open_connection(side.host, side.port, ssl=side.tls, limit=_LONGEST)
    try:
        writer.write(
            f"GET {side.path}{_READY} HTTP/1.1\r\nhost: {side.authority}\r\nconnection: close\r\n\r\n".encode("latin-1")
        )
        line = await reader.readline()
    except ValueError:
        return "its answer is no HTTP"
    finally:
        writer.close()
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return "its answer is no HTTP" if line else "it closed the connection"
    return "" if words[1] == b"200" else f"it answers with status {words[1][:3].decode('latin-1')}"
