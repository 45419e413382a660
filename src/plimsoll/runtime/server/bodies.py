"""The body of a request that is received in several pieces."""

from __future__ import annotations

import re

import numpy as np

DIGITS = re.compile("[0-9]{1,9}")
ALIGNMENT = 64
"""Bytes: vector instructions read a tensor at such an address without a copy."""
LARGEST_AT_ONCE = 1 << 20
"""Bytes of memory that a Content-Length alone allocates; the rest is allocated when as many have been received."""


class Body:
    """Memory for the body, which is filled while it is received.

    When binary tensors follow the JSON, the memory starts where the first tensor is aligned, so that the model reads it
    without a copy.
    """

    def __init__(self, length: int, json_length: str | None) -> None:
        self._length = length
        self._before_tensors = int(json_length) if json_length and DIGITS.fullmatch(json_length) else 0
        self.received = 0
        """Bytes of the body so far."""
        self._view = self._allocate(min(length, LARGEST_AT_ONCE))

    def _allocate(self, size: int) -> memoryview:
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -(memory.ctypes.data + self._before_tensors) % ALIGNMENT
        return memory.data[start : start + size]

    def fill(self, data: bytes | bytearray) -> None:
        """Add the first bytes of the body, which were received with its head."""
        while data:
            rest = self.rest
            taken = min(len(data), len(rest))
            rest[:taken] = data[:taken]
            self.filled(taken)
            data = data[taken:]

    @property
    def rest(self) -> memoryview:
        """The memory for the next bytes; not empty unless the body is complete."""
        if self.received == len(self._view) < self._length:
            # A client that announces a large body and sends nothing must not cost memory. One that has sent the first
            # part gets all, whose pages cost nothing before they are filled: growing in steps would copy megabytes.
            larger = self._allocate(self._length)
            larger[: self.received] = self._view
            self._view = larger
        return self._view[self.received :]

    def filled(self, count: int) -> None:
        """`count` more bytes of `rest` have been received."""
        self.received += count

    @property
    def complete(self) -> bool:
        """Whether the whole body has been received."""
        return self.received == self._length

    @property
    def whole(self) -> memoryview:
        """The body."""
        return self._view[: self._length]
