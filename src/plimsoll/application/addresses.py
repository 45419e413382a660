"""Identity of the content at an address: without a download where the address has an entity tag or a time."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import IO

from plimsoll.errors import MissingExtra, PlimsollError, TargetError

TIMEOUT = 20.0
"""Seconds that an address has to answer."""
READ_LIMIT = 1 << 30
"""Bytes of an address without a tag or a time that are read for one plan."""
READ_SECONDS = 300.0
"""Seconds in which these bytes have to arrive."""
_PIECE = 1 << 20
_STORE_VALIDATORS = ("ETag", "etag", "mtime", "updated")


def address_digest(source: str) -> str:
    """A digest that changes when the content at an address changes: of its entity tag, or time and size, or content.

    Raises TargetError when the address does not answer, MissingExtra for a scheme that needs one.
    """
    return _digest(source, _over_http(source) if source.startswith(("http://", "https://")) else _in_store(source))


def content_digest(source: str, sha256: str) -> str:
    """The digest of an address without a tag or a time, whose content has a SHA-256."""
    return _digest(source, f"sha256 {sha256}")


def _digest(source: str, identity: str) -> str:
    return hashlib.sha256(f"{source}\0{identity}".encode()).hexdigest()


def _over_http(source: str) -> str:
    # Some stores sign addresses for GET only, and GET says what is wrong with the others.
    for method in ("HEAD", "GET"):
        try:
            with _asked(source, method) as answer:
                known = _identity(answer.headers)
                if known is None and method == "GET":
                    known = f"sha256 {_content(source, answer.read, answer.headers)}"
        except PlimsollError:
            raise
        except Exception as error:  # http.client has error classes of its own beside OSError
            if method == "GET":
                raise _unreachable(source, error) from error
        else:
            if known is not None:
                return known
    raise _unreachable(source, "it has no content")


def _asked(source: str, method: str) -> urllib.response.addinfourl:
    request = urllib.request.Request(source, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310 - the caller has checked the scheme
    answer: urllib.response.addinfourl = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 - as above
    return answer


def _identity(headers: Message) -> str | None:
    found = [headers.get(name) for name in ("ETag", "Last-Modified", "Content-Length")]
    return str(found) if found[0] or found[1] else None


def _content(source: str, read: Callable[[int], bytes], headers: Message) -> str:
    """The SHA-256 of the content. Raises TargetError for what is too much to read for a plan, and for a part of it."""
    length = headers.get("Content-Length", "")
    expected = int(length) if length.isdecimal() and len(length) < len(str(1 << 62)) else None
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + READ_SECONDS
    while size <= READ_LIMIT and (expected or 0) <= READ_LIMIT and time.monotonic() < deadline:
        piece = read(_PIECE)
        if not piece:
            if expected is not None and size != expected:
                raise _unreachable(source, f"it sent {size} of {expected} bytes")
            return digest.hexdigest()
        digest.update(piece)
        size += len(piece)
    raise TargetError(
        "the address has neither an entity tag nor a time, and its data is too much to read for each plan",
        where=source,
        hint=f"set `sha256`; up to {READ_LIMIT >> 30} GiB are read in at most {READ_SECONDS:g} s",
    )


def _in_store(source: str) -> str:
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("s3" if source.startswith("s3:") else "gcs", f"the source {source}") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
        about = filesystem.info(path)
        if any(about.get(name) for name in _STORE_VALIDATORS):
            return str([about.get(name) for name in (*_STORE_VALIDATORS, "size")])
        file: IO[bytes]
        with filesystem.open(path, "rb") as file:
            return f"sha256 {_content(source, file.read, Message())}"
    except PlimsollError:
        raise
    except ImportError as error:
        raise MissingExtra("s3" if source.startswith("s3:") else "gcs", f"the source {source}") from error
    except Exception as error:  # each store's library has its own error classes
        raise _unreachable(source, error) from error


def _unreachable(source: str, error: Exception | str) -> TargetError:
    return TargetError(
        f"the address does not answer: {error}",
        where=source,
        hint="check the address and the network, or set `sha256` to use the copy that an earlier run fetched",
    )
