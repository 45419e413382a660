"""Whether the files of a stored result are those that its step wrote.

The digest of each file lies beside the result. A file is read again only when the file system says that something was
done to it since: its inode, size and times lie there too. When an inode changed cannot be set by who alters it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.files import digest_of_file, replace_file
from plimsoll.state.results import Result

DIGESTS, SEEN = "digests.json", "seen.json"
Value = TypeVar("Value")
Identity = tuple[int, int, int, int]


def own_files(output: Path) -> Iterator[Path]:
    """The regular files of an output directory, also by links that lead to one of them.

    What a link to elsewhere, a FIFO or a device gives may be another thing tomorrow: it is no part of a result.
    """
    root = output.resolve()
    for path in output.rglob("*"):
        if _is_own(path, root) and path.is_file():
            yield path


def drop_foreign(output: Path) -> None:
    """Delete what is neither a directory nor a file of an output directory's own, nor a link to one."""
    root = output.resolve()
    for path in list(output.rglob("*")):
        if not _is_own(path, root):
            path.unlink(missing_ok=True)


def is_own(path: Path, output: Path) -> bool:
    """Whether a path is a directory or file of an output directory's own, or a link to one."""
    return _is_own(path, output.resolve())


def digests_of(output: Path, result: Result) -> dict[str, str]:
    """The digests of the files of a result in its output directory, without those that are used in place."""
    found = {}
    for file in result.outputs:
        if file.path is None:
            with contextlib.suppress(OSError):
                found[file.name] = digest_of_file(output / file.name)
    return found


def remember(directory: Path, digests: Mapping[str, str]) -> None:
    """Write down what the files of the result in `directory` look like to the file system. Raises OSError."""
    replace_file(directory / SEEN, msgspec.json.encode(_identities(directory, digests)))


def is_unaltered(directory: Path) -> bool:
    """Whether each file of the result in `directory` still has the digest that it was stored with, if it has one."""
    digests = _read(directory / DIGESTS, dict[str, str])
    before = _read(directory / SEEN, dict[str, Identity])
    try:
        found = _identities(directory, digests)
        for name, digest in digests.items():
            if found[name] != before.get(name) and digest_of_file(directory / "output" / name) != digest:
                return False
    except OSError:
        return False
    if found != before:
        # Where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            remember(directory, digests)
    return True


def _read(path: Path, shape: type[dict[str, Value]]) -> dict[str, Value]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (*UNREADABLE, OSError):
        return {}


def _is_own(path: Path, root: Path) -> bool:
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return False
        mode = path.stat().st_mode
    except (OSError, RuntimeError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _identities(directory: Path, digests: Mapping[str, str]) -> dict[str, Identity]:
    """Raises OSError when a file with a digest is missing."""
    return {name: _identity((directory / "output" / name).stat()) for name in digests}


def _identity(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
