"""Sources of data: the identity of a file at a URL, and its bytes from any offset.

HTTP uses httpx2, paths and `file://` are read directly, and fsspec reads the rest (`s3://`, `gs://`, …).
"""

from __future__ import annotations

import contextlib
import functools
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import MissingExtra, TargetError
from plimsoll.runtime.content_encoding import UnfinishedEncoding, decoded, encoding_of, is_known

if TYPE_CHECKING:
    import httpx2
    from fsspec import AbstractFileSystem

READ_BYTES = 1 << 20
CONNECT_LIMIT = 10.0
SILENCE_LIMIT = 30.0
"""Seconds without a byte after which the source is tried again."""
_DIGITS = 19
"""Digits of the largest size that counts as one."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


@decodable
class Identity(Struct, frozen=True, kw_only=True):
    """Identifies the content. `validator` changes with it and is empty when the source has none; `size` is in bytes."""

    validator: str
    size: int | None


class Reading(Struct, frozen=True, kw_only=True):
    """Bytes of a source from an offset on.

    `size` is the size of the whole file in bytes, None where only the end tells. `has_end` is False when the end of the
    data cannot be told from a broken connection.
    """

    offset: int
    pieces: Iterator[bytes]
    size: int | None
    has_end: bool = True


class TransientSourceError(Exception):
    """The connection broke, or the source is busy. The caller keeps the received bytes and requests the rest again."""


class Source(Protocol):
    """One file. Both methods raise TransientSourceError when a retry may help, else TargetError."""

    url: str

    def identity(self) -> Identity:
        """The identity of the current content."""

    def read(self, offset: int, identity: Identity) -> contextlib.AbstractContextManager[Reading]:
        """Read from `offset`, or from an earlier offset."""


def open_source(url: str, headers: Mapping[str, str] | None = None) -> Source:
    """Open a URL or a path; `headers` are for HTTP. Raises MissingExtra for a scheme whose extra is not installed."""
    scheme = urllib.parse.urlsplit(url).scheme if "://" in url else "file"
    if scheme in {"http", "https"}:
        return _HttpSource(url, headers or {})
    if scheme == "file":
        return _LocalSource(url)
    return _ObjectStoreSource(url)


def list_files(url: str) -> list[tuple[str, str]]:
    """List all files below a URL that ends with `/`, sorted: (path relative to the URL, URL)."""
    scheme = urllib.parse.urlsplit(url).scheme if "://" in url else "file"
    if scheme in {"http", "https"}:
        raise TargetError("HTTP cannot list folders", where=url, hint="name each file")
    if scheme == "file":
        root = _local_path(url)
        return [(str(path.relative_to(root)), str(path)) for path in sorted(root.rglob("*")) if path.is_file()]
    filesystem, root_path = _filesystem(url)
    start = root_path.rstrip("/") + "/"
    try:
        found = sorted(filesystem.find(root_path))
    except Exception as error:  # each store's library has its own error classes
        raise _unreachable_error(url, error) from error
    return [(path.removeprefix(start), f"{scheme}://{path}") for path in found if not path.endswith("/")]


class _LocalSource:
    def __init__(self, url: str) -> None:
        self.url = url
        self.path = _local_path(url)

    def identity(self) -> Identity:
        try:
            found = self.path.stat()
        except OSError as error:
            raise TargetError(f"cannot read the file: {error.strerror}", where=str(self.path)) from error
        return Identity(validator=f"{found.st_mtime_ns} {found.st_ino}", size=found.st_size)

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[Reading]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                pieces = iter(lambda: file.read(READ_BYTES), b"")
                yield Reading(offset=offset, pieces=pieces, size=identity.size)
        except OSError as error:
            raise TargetError(f"cannot read the file: {error.strerror}", where=str(self.path)) from error


class _HttpSource:
    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        import httpx2

        self.url = url
        self._headers = dict(headers)
        self._path = urllib.parse.urlsplit(url).path
        self._ranges = True
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        self._client = http_client()

    def identity(self) -> Identity:
        with self._response("HEAD", {}) as answer:
            if answer.status_code == 200 and _validator(answer):
                return self._identity(answer)
        # Some stores sign URLs for GET only, and some servers say less in answer to HEAD.
        with self._response("GET", {"Range": "bytes=0-0"}) as answer:
            if answer.status_code == 416:
                # Nothing is there to give the first byte of.
                return Identity(validator=_validator(answer), size=0)
            self._check(answer, {200, 206})
            return self._identity(answer)

    def _identity(self, answer: httpx2.Response) -> Identity:
        encoded = encoding_of(answer.headers.get("Content-Encoding", ""), self._path)
        size = _range_of(answer)[2] if answer.status_code == 206 else _length(answer)
        return Identity(validator=_validator(answer), size=None if encoded else size)

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[Reading]:
        headers = {}
        if offset and self._ranges and identity.validator and not identity.validator.startswith("W/"):
            headers = {"Range": f"bytes={offset}-", "If-Range": identity.validator}
        with self._response("GET", headers) as answer:
            if headers and answer.status_code == 416:
                self._ranges = False
                raise TransientSourceError("the server has no bytes after those of the earlier download")
            self._check(answer, {200, 206} if headers else {200})
            now = _validator(answer)
            if now and identity.validator and now != identity.validator:
                raise TargetError("the data changed during the download", where=self.url, hint="run again")
            yield self._reading(answer, offset)

    def _reading(self, answer: httpx2.Response, offset: int) -> Reading:
        encoding = encoding_of(answer.headers.get("Content-Encoding", ""), self._path)
        if encoding and not is_known(encoding):
            message = f"the server sends the data encoded as {encoding}, although the request asks for none"
            raise TargetError(message, where=self.url, hint="use an address that sends the data as it is", lasting=True)
        if answer.status_code == 206:
            start, _, size = _range_of(answer)
            if encoding or start != offset or size is None:
                self._ranges = False
                raise TransientSourceError("the server sent another part of the data than the one that was asked for")
            return Reading(offset=offset, pieces=self._pieces(answer), size=size)
        has_end = _length(answer) is not None or "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if encoding:
            # Parts of encoded data cannot be joined with what was decoded.
            self._ranges = False
            pieces = self._decoded(encoding, self._pieces(answer))
            return Reading(offset=0, pieces=pieces, size=None, has_end=True)
        return Reading(offset=0, pieces=self._pieces(answer), size=_length(answer), has_end=has_end)

    def _decoded(self, encoding: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from decoded(encoding, pieces)
        except UnfinishedEncoding as error:
            raise TransientSourceError(str(error)) from error

    def _pieces(self, answer: httpx2.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()
        except self._errors as error:
            raise TransientSourceError(str(error) or type(error).__name__) from error

    @contextlib.contextmanager
    def _response(self, method: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        request = self._client.build_request(method, self.url, headers=self._headers | headers)
        try:
            answer = self._client.send(request, stream=True)
        except self._errors as error:
            raise TransientSourceError(str(error) or type(error).__name__) from error
        try:
            yield answer
        finally:
            answer.close()

    def _check(self, answer: httpx2.Response, expected: set[int]) -> None:
        status = answer.status_code
        if status in {408, 429} or status >= 500:
            raise TransientSourceError(f"the server answered {status} {answer.reason_phrase}")
        if status not in expected:
            message = f"the server answered {status} {answer.reason_phrase}"
            raise TargetError(message, where=self.url, hint="check the URL and the permission to read it")


class _ObjectStoreSource:
    """A file in an object store, by fsspec. The store's own variables (AWS_…) set credentials and endpoint."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._filesystem, self._path = _filesystem(url)

    def identity(self) -> Identity:
        try:
            # A cached listing may be old, and the current content is needed.
            self._filesystem.invalidate_cache()
            about = self._filesystem.info(self._path)
        except FileNotFoundError:
            raise TargetError("there is no file at this URL", where=self.url, hint="check the URL") from None
        except PermissionError as error:
            hint = "check the credentials (AWS_ACCESS_KEY_ID …) and their permission to read"
            raise TargetError(f"the store denied access: {error}", where=self.url, hint=hint) from error
        except Exception as error:  # each store's library has its own error classes
            raise TransientSourceError(str(error) or type(error).__name__) from error
        validator = " ".join(
            str(about[name]) for name in ("ETag", "etag", "md5Hash", "mtime", "updated", "VersionId") if about.get(name)
        )
        return Identity(validator=validator, size=about.get("size"))

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[Reading]:
        try:
            # Read ahead in large blocks; the library then does not cache the whole file.
            with self._filesystem.open(self._path, "rb", block_size=8 * READ_BYTES, cache_type="readahead") as file:
                file.seek(offset)
                yield Reading(offset=offset, pieces=self._pieces(file), size=identity.size)
        except (TargetError, TransientSourceError):
            raise
        except Exception as error:  # each store's library has its own error classes
            raise TransientSourceError(str(error) or type(error).__name__) from error

    def _pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        while piece := self._piece(file):
            yield piece

    def _piece(self, file: IO[bytes]) -> bytes:
        try:
            return bytes(file.read(READ_BYTES))
        except Exception as error:  # each store's library has its own error classes
            raise TransientSourceError(str(error) or type(error).__name__) from error


@functools.cache
def http_client() -> httpx2.Client:
    """The client of this process. It follows redirects, and leaves credentials behind where they lead elsewhere."""
    import httpx2

    return httpx2.Client(
        timeout=httpx2.Timeout(SILENCE_LIMIT, connect=CONNECT_LIMIT),
        # No connection stays open between requests, so that none has to be closed.
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=True,
        headers={"Accept-Encoding": "identity", "User-Agent": "plimsoll"},
    )


def _validator(answer: httpx2.Response) -> str:
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _length(answer: httpx2.Response) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) < _DIGITS else None


def _range_of(answer: httpx2.Response) -> tuple[int | None, int | None, int | None]:
    """First byte, last byte and size of the whole in Content-Range; None for what it does not say."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if not found:
        return None, None, None
    start, end, size = found.groups()
    return int(start), int(end), None if size == "*" else int(size)


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    scheme = urllib.parse.urlsplit(url).scheme
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError:
        raise MissingExtra(_EXTRAS.get(scheme, "s3"), f"the source {url}") from None
    except ValueError as error:
        raise TargetError(f"invalid URL: {error}", where=url) from error
    return filesystem, path


def _local_path(url: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path) if "://" in url else url)


def _unreachable_error(url: str, error: Exception) -> TargetError:
    hint = "check the URL, the network and the credentials"
    return TargetError(f"cannot list the files of the URL: {str(error) or type(error).__name__}", where=url, hint=hint)
