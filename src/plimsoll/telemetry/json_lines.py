"""A log of JSON lines that is bounded, private, and whole after its disk was full."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from plimsoll.errors import TargetError

MOST_BYTES = 256 << 20
"""Bytes of a log file. A longer one becomes `<name>.1`, the one before it `<name>.2`, and so on."""
KEPT = 8
"""Older files that are kept beside the present one."""
MOST_PENDING = 16 << 20
"""Bytes of lines that wait for the disk. Beyond them the oldest lines of a log that may lose some are dropped."""
OWNER_ONLY = 0o600
"""Logs name people and what they asked."""


class JsonLinesFile:
    """A file of JSON lines to append to; `-` is standard output. It is reopened after logrotate has moved it.

    Lines that cannot be written wait, and come first in the next write. `problem` says why they wait; it is empty when
    none does. `lost` counts the lines that were dropped. With `lossless` none is: the caller has to stop making them.
    """

    def __init__(self, path: str, *, lossless: bool = False) -> None:
        """Open the file. Raises TargetError when it cannot be written."""
        self.path = path
        self.problem = ""
        self.lost = 0
        self._lossless = lossless
        self._pending: list[bytes] = []
        try:
            self._file = self._open()
        except OSError as error:
            raise TargetError(f"cannot write the log: {error.strerror}", where=self.path) from error

    def write(self, lines: Sequence[Mapping[str, object] | bytes] = ()) -> None:
        """Append lines after those that wait; bytes are JSON already. Lines of several processes do not mix."""
        self._pending += [(line if isinstance(line, bytes) else msgspec.json.encode(line)) + b"\n" for line in lines]
        if not self._pending:
            return
        try:
            self._reopen_moved()
            self._write_pending()
        except OSError as error:
            if not self.problem:
                sys.stderr.write(f"cannot write the log, its lines wait: {error.strerror}: {self.path}\n")
            self.problem = f"the log cannot be written: {error.strerror}"
            self._drop_oldest()
        else:
            self.problem = ""

    def close(self) -> None:
        """Try once more to write what waits, and close the file."""
        self.write()
        if self._pending:
            sys.stderr.write(f"{len(self._pending)} lines could not be written: {self.path}\n")
        self._file.close()

    def _open(self) -> IO[bytes]:
        if self.path == "-":
            return os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.fdopen(os.open(self.path, flags, OWNER_ONLY), "ab", buffering=0)

    def _reopen_moved(self) -> None:
        if self.path == "-":
            return
        try:
            moved = self._file.closed or os.fstat(self._file.fileno()).st_ino != Path(self.path).stat().st_ino
        except FileNotFoundError:
            moved = True
        if moved:
            self._file.close()
            self._file = self._open()

    def _write_pending(self) -> None:
        """Raises OSError; `_pending` then has the lines that are not in the file."""
        with locked(self._file):
            content, written = memoryview(b"".join(self._pending)), 0
            try:
                while written < len(content):
                    written += self._write_some(content[written:])
            except OSError:
                self._keep_unwritten(written)
                raise
            self._pending.clear()
            if self.path != "-":
                self._rotate_long()

    def _write_some(self, content: memoryview) -> int:
        """The number of bytes that were written, at least one. Raises OSError, also when a pipe is full."""
        written = self._file.write(content)
        if not written:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return written

    def _keep_unwritten(self, written: int) -> None:
        """Forget the lines that were written whole; take the beginning of the next out of the file again."""
        while self._pending and written >= len(self._pending[0]):
            written -= len(self._pending.pop(0))
        if not written:
            return
        with contextlib.suppress(OSError):
            self._file.truncate(os.fstat(self._file.fileno()).st_size - written)
            return
        # A pipe or a terminal: what is there stays there, and the line begins anew.
        self._pending[0] = b"\n" + self._pending[0]

    def _drop_oldest(self) -> None:
        size = sum(map(len, self._pending))
        while not self._lossless and size > MOST_PENDING:
            size -= len(self._pending.pop(0))
            self.lost += 1

    def _is_long(self) -> bool:
        return os.fstat(self._file.fileno()).st_size >= MOST_BYTES and Path(self.path).is_file()

    def _rotate_long(self) -> None:
        path = Path(self.path)
        if not self._is_long():
            return
        for number in range(KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(f"{path.name}.{number}").replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
        self._reopen_moved()


@contextlib.contextmanager
def locked(file: IO[bytes]) -> Iterator[None]:
    """Lock a file against the other processes of a service; what cannot be locked (a pipe) is written as it is."""
    locked = False
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
        locked = True
    try:
        yield
    finally:
        if locked and not file.closed:
            fcntl.flock(file, fcntl.LOCK_UN)
