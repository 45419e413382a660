"""Atomic replacement of files, flushing to disk, and reading of what must be a regular file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

_BLOCK = 1 << 16


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file atomically: a reader sees the old or the new content. Raises OSError and keeps the old content.

    `durable` is for what a crash of the machine must not take back.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        flush(path.parent)


def write_through(path: str | Path, content: bytes) -> os.stat_result:
    """Write a file and flush its content to disk; its name is flushed with its directory. Raises OSError."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


def read_file(path: str | Path) -> bytes:
    """The content of a file. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def flush(path: str | Path) -> None:
    """Flush a file's content or a directory's entries to disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading. Raises OSError, also for a FIFO or a device, which could be read for ever."""
    return os.fdopen(_regular(path), "rb")


@contextlib.contextmanager
def open_descriptor(path: str | Path) -> Iterator[int]:
    """The descriptor of a regular file, for reading. Raises OSError as `open_regular` does."""
    descriptor = _regular(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_digest(descriptor: int) -> str:
    """`sha256:…` of what an open regular file has from here on. Raises OSError."""
    digest = hashlib.sha256()
    block = b"_" * _BLOCK
    while len(block) == _BLOCK:
        # A regular file gives less than it is asked for only at its end.
        block = os.read(descriptor, _BLOCK)
        digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def digest_of_file(path: str | Path) -> str:
    """`sha256:…` of a regular file. Raises OSError."""
    with open_descriptor(path) as descriptor:
        return read_digest(descriptor)


def _regular(path: str | Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor
