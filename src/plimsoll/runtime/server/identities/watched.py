"""Files that are read again when they have changed. What cannot be read leaves the last good content, and is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from plimsoll.errors import PlimsollError

Content = TypeVar("Content")


class Watched(Generic[Content]):
    """The content of a file, as it was when it could last be read."""

    def __init__(self, path: Path, read: Callable[[Path], Content], beside: Sequence[Path] = ()) -> None:
        """Reads it. `read` raises PlimsollError for a file that is not good, and so does this.

        `beside` are files that are read with it: a change of one is a change of all.
        """
        self.path = path
        self._paths = (path, *beside)
        self._read = read
        self._mark = self._marked()
        self.content = read(path)

    def look(self) -> bool:
        """Read it again if it has changed; whether there is new content. Called in a thread."""
        mark = self._marked()
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            self.content = self._read(self.path)
        except PlimsollError as error:
            sys.stderr.write(f"{self.path.name} cannot be used, what it said before stays: {error.on_one_line()}\n")
            return False
        return True

    def _marked(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(_mark, self._paths))


def _mark(path: Path) -> tuple[int, ...]:
    """What differs when the file does; empty when there is none. A mounted Secret is a link that is moved."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib's costs twice as much, each second
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode
