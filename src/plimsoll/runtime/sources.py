"""Where data is fetched from: what lies at an address, and its bytes from any place on.

HTTP by the registry's client, paths and `file://` directly, everything else (`s3://`, `gs://`, …) by fsspec.
"""

from __future__ import annotations

import contextlib
import functools
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from plimsoll.errors import MissingExtra, TargetError

PIECE = 1 << 20
CONNECT_LIMIT = 10.0
SILENCE_LIMIT = 30.0
"""Seconds without a byte after which a source is tried again."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class Identity(Struct, frozen=True, kw_only=True):
    """What changes when the content does. `validator` is empty when the source has none; `size` is in bytes."""

    validator: str
    size: int | None


class Broken(Exception):
    """The connection broke or the source is busy: what has come is kept, the rest is asked for again."""


class Source(Protocol):
    """One file somewhere. Both raise TargetError for what trying again would not mend, Broken for the rest."""

    url: str

    def identity(self) -> Identity:
        """What lies there now."""

    def read(self, offset: int, identity: Identity) -> contextlib.AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """The bytes from `offset` on, or from an earlier place, which is given with them."""


def source(url: str) -> Source:
    """The source behind an address or a path. Raises MissingExtra for a scheme that needs one."""
    scheme = urllib.parse.urlsplit(url).scheme if "://" in url else "file"
    if scheme in {"http", "https"}:
        return _Http(url)
    if scheme == "file":
        return _File(url)
    return _Stored(url)


def listed(url: str) -> list[tuple[str, str]]:
    """Everything below an address that ends with `/`: (path relative to it, address), sorted."""
    scheme = urllib.parse.urlsplit(url).scheme if "://" in url else "file"
    if scheme in {"http", "https"}:
        raise TargetError("folders cannot be listed over HTTP", where=url, hint="name each file")
    if scheme == "file":
        root = _path(url)
        return [(str(path.relative_to(root)), str(path)) for path in sorted(root.rglob("*")) if path.is_file()]
    filesystem, root_path = _filesystem(url)
    start = root_path.rstrip("/") + "/"
    try:
        found = sorted(filesystem.find(root_path))
    except Exception as error:  # every store's library has its own
        raise _silent(url, error) from error
    return [(path.removeprefix(start), f"{scheme}://{path}") for path in found if not path.endswith("/")]


class _File:
    def __init__(self, url: str) -> None:
        self.url = url
        self.path = _path(url)

    def identity(self) -> Identity:
        try:
            found = self.path.stat()
        except OSError as error:
            raise TargetError(f"the file cannot be read: {error.strerror}", where=str(self.path)) from error
        return Identity(validator=f"{found.st_mtime_ns} {found.st_ino}", size=found.st_size)

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                yield offset, iter(lambda: file.read(PIECE), b"")
        except OSError as error:
            raise TargetError(f"the file cannot be read: {error.strerror}", where=str(self.path)) from error


class _Http:
    def __init__(self, url: str) -> None:
        import httpx2

        self.url = url
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        self._client = _client()

    def identity(self) -> Identity:
        with self._answered("HEAD", {}) as answer:
            if answer.status_code in {403, 405, 501}:
                # Some stores sign addresses for reading only.
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
        with self._answered("GET", headers) as answer:
            self._check(answer)
            now = _validator(answer)
            if now and identity.validator and now != identity.validator:
                raise TargetError("the data changed while it was fetched", where=self.url, hint="run again")
            yield (offset if answer.status_code == 206 else 0), self._pieces(answer)

    def _pieces(self, answer: Any) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()
        except self._errors as error:
            raise Broken(str(error) or type(error).__name__) from error

    @contextlib.contextmanager
    def _answered(self, method: str, headers: dict[str, str]) -> Iterator[Any]:
        request = self._client.build_request(method, self.url, headers=headers)
        try:
            answer = self._client.send(request, stream=True)
        except self._errors as error:
            raise Broken(str(error) or type(error).__name__) from error
        try:
            yield answer
        finally:
            answer.close()

    def _check(self, answer: Any) -> None:
        status = answer.status_code
        if status in {408, 429} or status >= 500:
            raise Broken(f"it answers {status} {answer.reason_phrase}")
        if status >= 400:
            message = f"it answers {status} {answer.reason_phrase}"
            raise TargetError(message, where=self.url, hint="check the address, and the right to read there")


class _Stored:
    """A file of an object store, by fsspec; credentials and endpoint are the store's own variables (AWS_…)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._filesystem, self._path = _filesystem(url)

    def identity(self) -> Identity:
        try:
            # What was listed before may be old: the content is asked for as it is now.
            self._filesystem.invalidate_cache()
            about = self._filesystem.info(self._path)
        except FileNotFoundError:
            raise TargetError("there is nothing at this address", where=self.url, hint="check the address") from None
        except PermissionError as error:
            hint = "check the credentials (AWS_ACCESS_KEY_ID …) and their right to read there"
            raise TargetError(f"the store refuses: {error}", where=self.url, hint=hint) from error
        except Exception as error:  # every store's library has its own
            raise Broken(str(error) or type(error).__name__) from error
        validator = " ".join(
            str(about[name]) for name in ("ETag", "etag", "md5Hash", "mtime", "updated", "VersionId") if about.get(name)
        )
        return Identity(validator=validator, size=about.get("size"))

    @contextlib.contextmanager
    def read(self, offset: int, identity: Identity) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            # Read on and on, in large pieces: what is read is not kept by the library too.
            with self._filesystem.open(self._path, "rb", block_size=8 * PIECE, cache_type="readahead") as file:
                file.seek(offset)
                yield offset, self._pieces(file)
        except (TargetError, Broken):
            raise
        except Exception as error:  # every store's library has its own
            raise Broken(str(error) or type(error).__name__) from error

    def _pieces(self, file: Any) -> Iterator[bytes]:
        while piece := self._piece(file):
            yield piece

    def _piece(self, file: Any) -> bytes:
        try:
            return bytes(file.read(PIECE))
        except Exception as error:  # every store's library has its own
            raise Broken(str(error) or type(error).__name__) from error


@functools.cache
def _client() -> Any:
    import httpx2

    return httpx2.Client(
        timeout=httpx2.Timeout(SILENCE_LIMIT, connect=CONNECT_LIMIT),
        # Nothing is kept open between two requests, so that nothing is left to close.
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=True,
        headers={"Accept-Encoding": "identity", "User-Agent": "plimsoll"},
    )


def _validator(answer: Any) -> str:
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _filesystem(url: str) -> tuple[Any, str]:
    scheme = urllib.parse.urlsplit(url).scheme
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError:
        raise MissingExtra(_EXTRAS.get(scheme, "s3"), f"the source {url}") from None
    except ValueError as error:
        raise TargetError(f"the address cannot be used: {error}", where=url) from error
    return filesystem, path


def _path(url: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path) if "://" in url else url)


def _silent(url: str, error: Exception) -> TargetError:
    hint = "check the address, the network and the credentials"
    return TargetError(f"the address does not answer: {str(error) or type(error).__name__}", where=url, hint=hint)
