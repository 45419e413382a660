"""Types that bytes are decoded into, made known to msgspec before threads can meet them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")


def decodable(shape: type[Shape]) -> type[Shape]:
    """The Struct itself, for use as a decorator; or a generic one with its arguments.

    msgspec looks at the fields of a Struct when it first decodes one. A second thread that comes in the midst of that
    (it runs Python, and other threads are let in) takes what is half made, and the process dies of a segmentation fault
    (msgspec 0.22). This has it look while the module is imported, which no two threads do at once.
    """
    msgspec.json.Decoder(shape)
    return shape
