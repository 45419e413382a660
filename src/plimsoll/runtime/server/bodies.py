"""The body of a request that comes in several pieces."""

from __future__ import annotations

import numpy as np

ALIGNMENT = 64
"""Bytes: what a tensor is laid at so that vector instructions read it without a copy."""
LARGEST_AT_ONCE = 1 << 20
"""Bytes of memory that a promise of a length gets; more comes with the bytes themselves."""


class Body:
    """Memory of the body's length, filled as bytes come.

    When binary tensors follow the JSON, the memory lies so that the first tensor is aligned: it need not be copied
    before the model reads it.
    """

    def __init__(self, length: int, json_length: str | None) -> None:
        self._length = length
        self._before = int(json_length) if json_length and json_length.isdigit() and len(json_length) < 10 else 0
        self._have = 0
        self._view = self._room(min(length, LARGEST_AT_ONCE))

    def _room(self, size: int) -> memoryview:
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -(memory.ctypes.data + self._before) % ALIGNMENT
        return memory.data[start : start + size]

    def fill(self, data: bytes | bytearray) -> None:
        """Take the first bytes of the body, which came with its head."""
        while data:
            rest = self.rest
            taken = min(len(data), len(rest))
            rest[:taken] = data[:taken]
            self.filled(taken)
            data = data[taken:]

    @property
    def rest(self) -> memoryview:
        """Where the next bytes belong; not empty unless the body is complete."""
        if self._have == len(self._view) < self._length:
            # A client that only says that it will send much gets no memory for it.
            larger = self._room(min(self._length, 4 * len(self._view)))
            larger[: self._have] = self._view
            self._view = larger
        return self._view[self._have :]

    def filled(self, count: int) -> None:
        """So many bytes of `rest` have come."""
        self._have += count

    @property
    def complete(self) -> bool:
        """Whether all has come."""
        return self._have == self._length

    @property
    def whole(self) -> memoryview:
        """The body."""
        return self._view[: self._length]
