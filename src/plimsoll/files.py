"""Atomic replacement of files, flushing to disk, and links that can be moved."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from io import BufferedReader
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old or the new content. Raises OSError and keeps the old content."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file's content or a directory's entries to disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError, also for a FIFO or a device, which could be read for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def digest_of_file(path: Path) -> str:
    """`sha256:…` of a regular file. Raises OSError."""
    with open_regular(path) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def make_links_relative(directory: Path) -> None:
    """Make absolute symbolic links relative that lead from the directory into itself, so that it can be moved."""
    roots = {str(directory.absolute()), os.path.realpath(directory)}
    for parent, directories, files in os.walk(directory):
        for link in (Path(parent, name) for name in (*directories, *files)):
            if not link.is_symlink():
                continue
            target = os.path.normpath(link.readlink())
            root = next((root for root in roots if target == root or target.startswith(root + os.sep)), None)
            if root is not None:
                beside = Path(root, os.path.relpath(parent, directory))
                link.unlink()
                link.symlink_to(os.path.relpath(target, beside))
