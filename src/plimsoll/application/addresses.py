"""What lies at an address, without fetching it."""

from __future__ import annotations

import urllib.request

from plimsoll.errors import MissingExtra, TargetError

LIMIT = 20.0
"""Seconds for an address to answer."""


def identity(source: str) -> str:
    """What changes when the content does: an entity tag, or time and size.

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
        raise _silent(source, error) from error
    return str([about.get(name) for name in ("ETag", "etag", "mtime", "updated", "size")])


def _over_http(source: str) -> str:
    request = urllib.request.Request(source, method="HEAD")  # noqa: S310 - the scheme was looked at
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:  # noqa: S310 - as above
            headers = answer.headers
    except OSError as error:
        raise _silent(source, error) from error
    return str([headers.get(name) for name in ("ETag", "Last-Modified", "Content-Length")])


def _silent(source: str, error: Exception) -> TargetError:
    return TargetError(
        f"the address does not answer: {error}",
        where=source,
        hint="check the address and the network, or give its sha256 to run from what was fetched before",
    )
