"""GGUF, the format of llama.cpp. Source: ggml's docs/gguf.md, and GGML_QUANT_SIZES of gguf-py."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

from msgspec import Struct

from plimsoll.files import open_regular
from plimsoll.runtime.model_formats.reader import BadModelFile, Reader, printable

MAGIC = b"GGUF"
MOST_VALUES, MOST_TENSORS, MOST_DIMENSIONS = 100_000, 1_000_000, 8
MOST_ITEMS = 20_000_000
"""Items of all arrays: a vocabulary has some hundred thousand."""
DEPTH = 4
_SCALARS: Mapping[int, str] = MappingProxyType(
    {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
)
_TEXT, _ARRAY = 8, 9
_SIZES: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
        10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
        16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
        23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
        34: (256, 54), 35: (256, 66), 39: (32, 17),
    }
)  # fmt: skip
"""Elements and bytes of a block, by the number of a tensor's type."""


class GgufHeader(Struct, frozen=True, kw_only=True):
    """What the header says. `values` has the texts and whole numbers, and `tensors` the dimensions of each tensor, the
    one whose values lie side by side first; of a type that is not known, only the begin of a tensor counts for
    `needed`, the bytes that the file must have."""

    version: int
    values: Mapping[str, str | int]
    tensors: Mapping[str, tuple[int, ...]]
    needed: int

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(map(math.prod, self.tensors.values()))


def read_gguf_file(path: Path) -> GgufHeader:
    """Read the header of the file at a path. Raises BadModelFile, also for a file of another format, and OSError."""
    with open_regular(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadModelFile("this is no GGUF file, though its name says so")
        file.seek(0)
        return read_gguf(file, path.stat().st_size)


def read_gguf(file: IO[bytes], size: int) -> GgufHeader:
    """Read the header of a file. Raises BadModelFile for one that is cut off or damaged."""
    reader = Reader(file, size, "GGUF")
    reader.take(len(MAGIC))
    version = reader.number("I")
    if version not in (2, 3):
        what = "it is big-endian" if version > 0xFFFF else f"its version is {version}"
        raise BadModelFile(f"this GGUF file cannot be read: {what}; versions 2 and 3, little-endian, can")
    tensors, count = reader.number("Q"), reader.number("Q")
    if tensors > MOST_TENSORS or count > MOST_VALUES:
        raise BadModelFile(f"it names {tensors} tensors and {count} values: it is damaged, or no GGUF file")
    values: dict[str, str | int] = {}
    items = [MOST_ITEMS]
    for _ in range(count):
        name = reader.text()
        value = _value(reader, reader.number("I"), items, 0)
        if isinstance(value, str | int):
            values[name] = value
    parts = values.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise BadModelFile(
            f"this is one of {parts} parts of a GGUF model: join them with llama.cpp's gguf-split --merge"
        )
    shapes, end = _tensors(reader, tensors)
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise BadModelFile("its general.alignment is no size: it is damaged")
    needed = -(-reader.place // alignment) * alignment + end if tensors else reader.place
    if needed > size:
        raise BadModelFile(reader.cut_off(needed))
    return GgufHeader(version=version, values=values, tensors=shapes, needed=needed)


def _tensors(reader: Reader, count: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """The dimensions of all tensors, and where the last one ends after the header."""
    found: dict[str, tuple[int, ...]] = {}
    end = 0
    for _ in range(count):
        name, dimensions = reader.text(), reader.number("I")
        if dimensions > MOST_DIMENSIONS:
            raise BadModelFile(f"it has a tensor of {dimensions} dimensions: it is damaged")
        if name in found:
            raise BadModelFile(f"it has the tensor '{printable(name, 80)}' twice: it is damaged")
        found[name] = tuple(reader.number("Q") for _ in range(dimensions))
        elements = math.prod(found[name])
        kind, offset = reader.number("I"), reader.number("Q")
        block, wide = _SIZES.get(kind, (1, 0))
        end = max(end, offset + -(-elements // block) * wide)
    return found, end


def _value(reader: Reader, kind: int, items: list[int], depth: int) -> str | int | None:
    """A text or whole number; None for other values, which are passed over."""
    if kind in _SCALARS:
        form = _SCALARS[kind]
        content = reader.take(struct.calcsize(f"<{form}"))
        return None if form in "fd?" else int.from_bytes(content, "little", signed=form.islower())
    if kind == _TEXT:
        return reader.text()
    if kind != _ARRAY or depth >= DEPTH:
        raise BadModelFile(f"it has a value of the unknown type {kind}: it is damaged")
    inner, count = reader.number("I"), reader.number("Q")
    if inner in _SCALARS:
        reader.skip(count * struct.calcsize(f"<{_SCALARS[inner]}"))
        return None
    items[0] -= count
    if items[0] < 0:
        raise BadModelFile(f"it has arrays of more than {MOST_ITEMS} items: it is damaged")
    for _ in range(count):
        if inner == _TEXT:
            reader.skip(reader.number("Q"))
        else:
            _value(reader, inner, items, depth + 1)
    return None
