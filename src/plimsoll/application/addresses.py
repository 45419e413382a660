"""Identity of the content at an address, without a download."""

from __future__ import annotations

import urllib.request

from plimsoll.errors import MissingExtra, TargetError

TIMEOUT = 20.0
"""Seconds that an address has to answer."""


def content_identity(source: str) -> str:
    """A text that changes when the content changes: the entity tag, or time and size.

    Raises TargetError when the address does not answer, MissingExtra for a scheme that needs one.
    """
    if source.startswith(("http://", "https://")):
        return _over_http(source)
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("s3" if source.startswith("s3:") else "gcs", f"the source {source}") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
        about = filesystem.info(path)
    except (OSError, ImportError) as error:
        raise _unreachable(source, error) from error
    return str([about.get(name) for name in ("ETag", "etag", "mtime", "updated", "size")])


def _over_http(source: str) -> str:
    request = urllib.request.Request(source, method="HEAD")  # noqa: S310 - the caller has checked the scheme
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
            headers = answer.headers
    except OSError as error:
        raise _unreachable(source, error) from error
    return str([headers.get(name) for name in ("ETag", "Last-Modified", "Content-Length")])


def _unreachable(source: str, error: Exception) -> TargetError:
    return TargetError(
        f"the address does not answer: {error}",
        where=source,
        hint="check the address and the network, or set `sha256` to use the copy that an earlier run fetched",
    )
