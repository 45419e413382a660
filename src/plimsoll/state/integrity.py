"""Whether the files of a stored result are those that its step wrote.

The result has the digest of each file. A file is read again only when the file system says that something was done to
it since: its inode, size and times lie beside the result. The time of an inode's change cannot be set by who alters it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.files import digest_of_file, replace_file
from plimsoll.state.results import AnyResult, OutputFile

SEEN = "seen.json"
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


def with_digests(result: AnyResult, output: Path) -> AnyResult:
    """The result with the digests of its files. A file that is used in place, or that is not here, gets none."""
    return replace(result, outputs=tuple(_with_digest(file, output) for file in result.outputs))


def remember(directory: Path, result: AnyResult) -> None:
    """Write down what the files of a result in `directory` look like to the file system. Raises OSError."""
    replace_file(directory / SEEN, msgspec.json.encode(_identities(directory, result)))


def is_unaltered(directory: Path, result: AnyResult) -> bool:
    """Whether each file of the result in `directory` still has its digest."""
    try:
        before = msgspec.json.decode((directory / SEEN).read_bytes(), type=dict[str, Identity])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        before = {}
    try:
        found = _identities(directory, result)
        for file in result.outputs:
            if file.digest is None or file.path is not None or found[file.name] == before.get(file.name):
                continue
            if digest_of_file(directory / "output" / file.name) != file.digest:
                return False
    except OSError:
        return False
    if found != before:
        # Where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            remember(directory, result)
    return True


def _is_own(path: Path, root: Path) -> bool:
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return False
        mode = path.stat().st_mode
    except (OSError, RuntimeError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _with_digest(file: OutputFile, output: Path) -> OutputFile:
    if file.path is not None:
        return file
    try:
        return replace(file, digest=digest_of_file(output / file.name))
    except OSError:
        return file


def _identities(directory: Path, result: AnyResult) -> dict[str, Identity]:
    """Raises OSError when a file with a digest is missing."""
    return {
        file.name: _identity((directory / "output" / file.name).stat())
        for file in result.outputs
        if file.digest is not None and file.path is None
    }


def _identity(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
