"""Figures of many runs in one file of numbers: one figure of ten thousand runs is ten thousand small reads."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterable
from pathlib import Path

WIDTH = 8


class FigureStore:
    """A file of 64-bit numbers that is only appended to. Several threads may read."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._end = os.fstat(self._file).st_size // WIDTH

    def add(self, values: Iterable[float]) -> int:
        """Append numbers; returns the place of the first."""
        numbers = array("d", values)
        place, content = self._end, numbers.tobytes()
        while content:
            written = os.pwrite(self._file, content, self._end * WIDTH + len(numbers) * WIDTH - len(content))
            content = content[written:]
        self._end += len(numbers)
        return place

    def one(self, place: int) -> float | None:
        """The number at a place; `None` where there is none, or one that is not finite."""
        content = os.pread(self._file, WIDTH, place * WIDTH)
        if len(content) < WIDTH:
            return None
        value = array("d", content)[0]
        return value if math.isfinite(value) else None

    def many(self, place: int, count: int) -> list[float]:
        """Numbers from a place on; fewer where the file has been cut short."""
        content = os.pread(self._file, count * WIDTH, place * WIDTH)
        return array("d", content[: len(content) // WIDTH * WIDTH]).tolist()

    @property
    def length(self) -> int:
        """How many numbers there are."""
        return self._end

    def clear(self) -> None:
        """Delete all numbers."""
        os.ftruncate(self._file, 0)
        self._end = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
