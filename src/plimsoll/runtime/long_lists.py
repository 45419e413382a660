"""Long lists of values in JSON to arrays, piece by piece. Pure.

One call of a decoder for a list of many megabytes would stop all other threads for as long as it takes, and would make
an object of every value before anybody could count them. Here each piece is decoded, counted and stored in the tensor
before the next is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
import numpy as np

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.tensors import Array, BadTensor, count_of, dtype_of, from_values, json_of_python

PIECE = 64 << 10
"""Bytes that are decoded at once: about a millisecond."""
LONGEST_NUMBER = 1 << 20
"""Bytes between two commas of a list of numbers, white space and all."""
LONGEST_TEXT = 8 << 20
"""Bytes of one text of a long list: a text is read in one step, which stops all other threads."""
DEEPEST = 32
"""Lists in lists."""
StillWanted = Callable[[], None]
"""Raises when nobody waits for the result any more."""

_DECODERS: dict[str, msgspec.json.Decoder[list[Any]]] = {
    "b": msgspec.json.Decoder(list[bool]),
    "i": msgspec.json.Decoder(list[int]),
    "u": msgspec.json.Decoder(list[int]),
    "f": msgspec.json.Decoder(list[float | None]),
    "O": msgspec.json.Decoder(list[str]),
}
_OPENING = re.compile(rb"[\[\s]*+")
_TEXT = re.compile(rb'"[^"]*+"')
_BRACKETS_OUTSIDE = re.compile(rb'("(?:[^"\\]|\\.)*+")|[\[\]]', re.DOTALL)
_VALUES = bytes(byte if byte in b"[]," else ord("0") for byte in range(256))
"""Replaces every byte of a value by 0."""
_MISPLACED = (b"0[", b"]0", b"][")
"""A value or a list beside a list, without a comma between them."""
_NO_BRACKETS = bytes.maketrans(b"[]", b"  ")


def array_from(text: memoryview, datatype: str, shape: Sequence[int], still_wanted: StillWanted) -> Array:
    """The array of a JSON list, flat or nested, from its first to its last bracket. Raises BadTensor."""
    dtype, count = np.dtype(dtype_of(datatype)), count_of(shape)
    depth = _depth(text)
    result, done = np.empty(count, dtype), 0
    outlines: list[bytes] = []
    inside = text if depth > 1 else text[1:-1]
    for number, part in enumerate(_pieces(inside, texts=dtype.kind == "O")):
        still_wanted()
        piece = part
        if depth > 1:
            outlines.append(_outline(part))
            piece = _BRACKETS_OUTSIDE.sub(rb"\1", part) if dtype.kind == "O" else part.translate(_NO_BRACKETS)
        values = _values(piece, dtype.kind, datatype, done)
        if not values and (count or number):
            raise BadTensor(f"data has nothing at the place of element {done}")
        if done + len(values) > count:
            raise BadTensor(f"data has more than {count} elements, shape {list(shape)} needs {count}")
        result[done : done + len(values)] = from_values(values, datatype, first=done)
        done += len(values)
    if done != count:
        raise BadTensor(f"data has {done} elements, shape {list(shape)} needs {count}")
    if depth > 1 and not _regular(b",".join(outlines), depth):
        raise BadTensor("data is a list whose rows have different lengths")
    return result.reshape(shape)


def mask_escapes(text: bytes) -> bytes:
    """The text with other bytes for escapes, so that each quote in it begins or ends a string."""
    return text.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in text else text


def _depth(text: memoryview) -> int:
    opening = _OPENING.match(text[:4096])
    depth = bytes(opening[0]).count(b"[") if opening else 0
    if depth > DEEPEST:
        raise BadTensor(f"data is nested deeper than {DEEPEST} lists")
    return depth


def _pieces(text: memoryview, *, texts: bool) -> Iterator[bytes]:
    """The list in pieces that end before a comma between two elements."""
    start, size = 0, PIECE
    while start + size < len(text):
        window = bytes(text[start : start + size])
        end = _end_of_texts(window) if texts else window.rfind(b",")
        if end >= 0:
            yield window[:end]
            start, size = start + end + 1, PIECE
        elif size < (LONGEST_TEXT if texts else LONGEST_NUMBER):
            size *= 2
        else:
            raise BadTensor(f"data has {size} bytes without a comma; send what is longer in binary")
    yield bytes(text[start:])


def _end_of_texts(window: bytes) -> int:
    """Where the last comma between two whole texts is; negative when there is none."""
    bare = mask_escapes(window)
    last = bare.rfind(b'"')
    if bare.count(b'"') % 2 == 0:
        after = bare.find(b",", last + 1) if last >= 0 else -1
        if after >= 0:
            return after
        last = bare.rfind(b'"', 0, max(0, last))
    return bare.rfind(b",", bare.rfind(b'"', 0, max(0, last)) + 1, max(0, last))


def _values(piece: bytes, kind: str, datatype: str, done: int) -> list[object]:
    whole = b"[" + piece + b"]"
    try:
        return list(_DECODERS[kind].decode(whole))
    except UNREADABLE as error:
        if kind == "f" and (b"N" in piece or b"I" in piece):
            # Python's own encoder writes NaN and Infinity, which JSON does not have.
            return numbers_of_python(whole)
        place = f"the piece of data from element {done} on"
        raise BadTensor(f"data has values that are not of the datatype {datatype}: {place}: {error}") from error


def numbers_of_python(text: bytes) -> list[object]:
    """A list of JSON with Python's NaN and Infinity in it. Raises BadTensor."""
    try:
        return list(cast("list[object]", json_of_python(text)))
    except (ValueError, RecursionError) as error:
        raise BadTensor(f"data is not a list in JSON: {error}") from error


def _outline(piece: bytes) -> bytes:
    """Only the brackets and commas that are not in texts. Raises BadTensor when a value stands beside a list."""
    bare = _TEXT.sub(b"0", mask_escapes(piece)) if b'"' in piece else piece
    outline = bare.translate(_VALUES, b" \t\r\n")
    if any(pair in outline for pair in _MISPLACED):
        raise BadTensor("data has a value and a list beside each other")
    return outline.translate(None, b"0")


def _regular(outline: bytes, depth: int) -> bool:
    """Whether all lists of a level have equally many elements, by the first list of each level."""
    row = b""
    for level in range(1, depth + 1):
        end = outline.find(b"]" * level)
        number, rest = divmod(end + level - (depth - level) - 1, len(row) + 1)
        if end < 0 or rest or number < 1:
            return False
        row = b"[" + (row + b",") * (number - 1) + row + b"]"
    return row == outline
