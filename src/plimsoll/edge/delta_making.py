"""Finds what two files have in common, wherever it stands in them. Needs NumPy, which the owner of a group has.

The blocks of the base have a hash; a polynomial one, so that the hash of every window of the new file follows from
prefix sums. Source: A. Tridgell, Efficient Algorithms for Sorting and Synchronization (1999), chapter 3.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from plimsoll.edge.deltas import BLOCK, COPY, COPY_RECORD, DATA, DATA_RECORD

Bytes: TypeAlias = npt.NDArray[np.uint8]
Hashes: TypeAlias = npt.NDArray[np.uint64]
WINDOW = 2048
"""Bytes that have to be alike before they are copied."""
_SEGMENT = 1 << 20
_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)


def make_delta(base: Path, new: Path, packed: Path) -> int:
    """Write the delta that makes `new` of `base`; its size in bytes. Raises OSError."""
    old, wanted = _mapped(base), _mapped(new)
    with packed.open("wb") as file:
        writer = _Writer(file)
        end = 0
        for start, offset, length in _common(old, wanted):
            writer.data(wanted[end:start])
            writer.copy(offset, length)
            end = start + length
        writer.data(wanted[end:])
        writer.close()
    return packed.stat().st_size


class _Writer:
    def __init__(self, file: BufferedWriter) -> None:
        self._file = file
        self._deflater = zlib.compressobj(6)

    def copy(self, offset: int, length: int) -> None:
        self._put(COPY + COPY_RECORD.pack(offset, length))

    def data(self, content: Bytes) -> None:
        if not len(content):
            return
        self._put(DATA + DATA_RECORD.pack(len(content)))
        for at in range(0, len(content), BLOCK):
            self._put(content[at : at + BLOCK].tobytes())

    def close(self) -> None:
        self._file.write(self._deflater.flush())

    def _put(self, content: bytes) -> None:
        self._file.write(self._deflater.compress(content))


def _mapped(path: Path) -> Bytes:
    return np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)


def _common(old: Bytes, new: Bytes) -> Iterator[tuple[int, int, int]]:
    """Parts of `new` that `old` has: start in new, offset in old, length. They grow, and do not overlap."""
    hashes, blocks = _index(old)
    start = done = 0
    while start + WINDOW <= len(new) and len(hashes):
        stop = min(start + _SEGMENT, len(new) - WINDOW + 1)
        found = _windows(new[start : stop + WINDOW - 1])
        places = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
        candidates = np.flatnonzero(hashes[places] == found)
        at = 0
        while at < len(candidates):
            place = start + int(candidates[at])
            offset = int(blocks[places[candidates[at]]]) * WINDOW
            length = _alike(old[offset:], new[place:])
            if length < WINDOW:
                at += 1
                continue
            back = _alike(old[:offset][::-1], new[done:place][::-1])
            yield place - back, offset - back, length + back
            done = place + length
            if done >= stop:
                break
            at = int(np.searchsorted(candidates, done - start))
        start = max(stop, done)


def _index(old: Bytes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    """The hashes of a file's blocks in order, and a block that has each."""
    count = len(old) // WINDOW
    found = np.empty(count, np.uint64)
    powers = _powers(_BASE, WINDOW)
    for first in range(0, count, 512):
        last = min(first + 512, count)
        rows = old[first * WINDOW : last * WINDOW].reshape(-1, WINDOW)
        found[first:last] = (rows * powers).sum(axis=1, dtype=np.uint64)
    return np.unique(found, return_index=True)


def _windows(content: Bytes) -> Hashes:
    """The hash of each window, in the order of their first bytes."""
    sums = np.zeros(len(content) + 1, np.uint64)
    np.cumsum(content * _powers(_BASE, len(content)), dtype=np.uint64, out=sums[1:])
    windows: Hashes = (sums[WINDOW:] - sums[:-WINDOW]) * _powers(_INVERSE, len(content) - WINDOW + 1)
    return windows


def _powers(base: int, count: int) -> Hashes:
    """1, base, base², … modulo 2⁶⁴."""
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _alike(one: Bytes, other: Bytes) -> int:
    """How many first bytes two contents share."""
    most = min(len(one), len(other))
    at, step = 0, WINDOW
    while at < most:
        end = min(at + step, most)
        differs = np.flatnonzero(one[at:end] != other[at:end])
        if len(differs):
            return at + int(differs[0])
        at, step = end, min(step * 4, _SEGMENT)
    return most
