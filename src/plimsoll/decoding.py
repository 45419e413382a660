"""Prepares types for decoding by msgspec at import time, before several threads use them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no document of the shape: also for lists in lists a thousand deep."""


def decodable(shape: type[Shape]) -> type[Shape]:
    """Return the Struct itself, so that this works as a decorator; also takes a generic Struct with its arguments.

    msgspec inspects the fields of a Struct when it first decodes one. This inspection runs Python code, so another
    thread may start to decode the same type in the middle of it, use incomplete data, and crash the process with a
    segmentation fault (msgspec 0.22). The decorator makes msgspec inspect the type while its module is imported, which
    only one thread does.
    """
    msgspec.json.Decoder(shape)
    return shape
