"""What a request message would become, counted in its bytes before protobuf makes objects of them. Pure.

A field of two bytes can become an object of a hundred. Source: protobuf's encoding, and the protocol's field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.runtime.long_lists import StillWanted
from plimsoll.runtime.tensors import BadTensor

MOST_PARTS = 250_000
"""Fields, elements that are not packed, and texts of one request."""
LARGEST_TYPED = 16 << 20
"""Bytes of everything but `raw_input_contents`: numbers in `contents` become eight times as large."""
INPUTS, OUTPUTS, PARAMETERS, RAW = 5, 6, 4, 7
CONTENTS = 5
"""The number of `contents` in an input."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NESTED: dict[int, dict[int, dict[int, object]]] = {INPUTS: {CONTENTS: {}}, OUTPUTS: {}, PARAMETERS: {}}
"""The fields that are messages with fields to count, by number."""


def typed_bytes(message: memoryview, still_wanted: StillWanted) -> int:
    """The bytes of a `ModelInferRequest` outside of `raw_input_contents`. Raises BadTensor when they are too many."""
    parts = typed = 0
    waiting: list[tuple[memoryview, dict[int, object]]] = [(message, dict(_NESTED))]
    while waiting:
        within, nested = waiting.pop()
        for number, content in _fields(within):
            parts += 1
            if parts % 4096 == 0:
                still_wanted()
            if parts > MOST_PARTS:
                raise BadTensor(f"the request has more than {MOST_PARTS} parts; send tensors in raw_input_contents")
            if within is message and number != RAW:
                typed += len(content)
            below = nested.get(number)
            if isinstance(below, dict):
                waiting.append((content, below))
    if typed > LARGEST_TYPED:
        reason = f"the request has {typed} bytes outside of raw_input_contents, at most {LARGEST_TYPED} are read"
        raise BadTensor(f"{reason}; send tensors in raw_input_contents")
    return typed


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field; the content of numbers is empty. Raises BadTensor."""
    place, end = 0, len(message)
    nothing = message[:0]
    while place < end:
        key, place = _varint(message, place)
        kind, content = key & 7, nothing
        if kind == _BYTES:
            length, place = _varint(message, place)
            content = message[place : place + length]
            place += length
        elif kind == _VARINT:
            _, place = _varint(message, place)
        elif kind in {_FIXED64, _FIXED32}:
            place += 8 if kind == _FIXED64 else 4
        else:
            raise BadTensor("the request is not a message of the protocol")
        yield key >> 3, content
    if place != end:
        raise BadTensor("the request is a message that breaks off")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and place < len(message):
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise BadTensor("the request is not a message of the protocol")
