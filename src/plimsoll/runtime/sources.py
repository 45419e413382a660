"""Sources of data: the identity of a file at a URL, and its bytes from any offset.

HTTP uses httpx2, paths and `file://` are read directly, and fsspec reads the rest (`s3://`, `gs://`, …).
"""

from __future__ import annotations

import contextlib
import functools
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from msgspec import Struct

from plimsoll.errors import MissingExtra, TargetError

if TYPE_CHECKING:
    import httpx2
    from fsspec import AbstractFileSystem

READ_BYTES = 1 << 20
CONNECT_LIMIT = 10.0
SILENCE_LIMIT = 30.0
"""Seconds without a byte after which the source is tried again."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class Identity(Struct, frozen=True, kw_only=True):
    """Identifies the content. `validator` changes with it and is empty when the source has none; `size` is in bytes."""

    validator: str
    size: int | None


class TransientSourceError(Exception):
    """The connection broke, or the source is busy. The caller keeps the received bytes and requests the rest again."""


class Source(Protocol):
    """One file. Both methods raise TransientSourceError when a retry may help, else TargetError."""

    url: str

    def identity(self) -> Identity:
        """The identity of the current content."""

    def read(self, offset: int, identity: Identity) -> contextlib.AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Read from `offset`, or from an earlier offset. Yields that offset and the bytes."""


def open_source(url: str) -> Source:
    """Open a URL or a path. Raises MissingExtra when the scheme needs an extra that is not installed."""
    scheme = urllib.parse.urlsplit(url).scheme if "://" in url else "file"
    if scheme in {"http", "https"}:
        return _HttpSource(url)
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
    def read(self, offset: int, identity: Identity) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                yield offset, iter(lambda: file.read(READ_BYTES), b"")
        except OSError as error:
            raise TargetError(f"cannot read the file: {error.strerror}", where=str(self.path)) from error


class _HttpSource:
    def __init__(self, url: str) -> None:
        import httpx2

        self.url = url
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        self._client = _http_client()

    def identity(self) -> Identity:
        with self._response("HEAD", {}) as answer:
            if answer.status_code in {403, 405, 501}:
                # Some stores sign URLs for GET only.
                return Identity(validator="", size=None)
            self._check(answer)
            validator = _validator(answer)
            length = answer.headers.get("Content-Length", "")
        return Identity(validator=validator, size=int(length) if length.isdigit() else None)

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[tuple[int, Iterator[bytes]]]:
        headers = {}
        if offset and identity.validator and not identity.validator.startswith("W/"):
            headers = {"Range": f"bytes={offset}-", "If-Range": identity.validator}
        with self._response("GET", headers) as answer:
            self._check(answer)
            now = _validator(answer)
            if now and identity.validator and now != identity.validator:
                raise TargetError("the data changed during the download", where=self.url, hint="run again")
            yield (offset if answer.status_code == 206 else 0), self._pieces(answer)

    def _pieces(self, answer: httpx2.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()
        except self._errors as error:
            raise TransientSourceError(str(error) or type(error).__name__) from error

    @contextlib.contextmanager
    def _response(self, method: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        request = self._client.build_request(method, self.url, headers=headers)
        try:
            answer = self._client.send(request, stream=True)
        except self._errors as error:
            raise TransientSourceError(str(error) or type(error).__name__) from error
        try:
            yield answer
        finally:
            answer.close()

    def _check(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status in {408, 429} or status >= 500:
            raise TransientSourceError(f"the server answered {status} {answer.reason_phrase}")
        if status >= 400:
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
    def read(self, offset: int, identity: Identity) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            # Read ahead in large blocks; the library then does not cache the whole file.
            with self._filesystem.open(self._path, "rb", block_size=8 * READ_BYTES, cache_type="readahead") as file:
                file.seek(offset)
                yield offset, self._pieces(file)
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
def _http_client() -> httpx2.Client:
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
