"""Safetensors: a header of JSON with the place of each tensor. Source: the format's README, huggingface/safetensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import open_regular
from plimsoll.runtime.model_formats.reader import BadModelFile, Reader, printable

MOST_HEADER = 100_000_000
"""Bytes of a header. Source: the reference implementation."""
MOST_DIMENSIONS = 64
METADATA = "__metadata__"
_BITS: Mapping[str, int] = MappingProxyType({
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
})  # fmt: skip


@decodable
class Tensor(Struct, frozen=True):
    """A tensor: its type, its shape, and where its bytes begin and end after the header."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class SafetensorsHeader(Struct, frozen=True, kw_only=True):
    """The texts of the metadata, the number of weights, and the dimensions of each tensor."""

    metadata: Mapping[str, str]
    parameters: int
    tensors: Mapping[str, tuple[int, ...]] = {}


def is_safetensors(begin: bytes) -> bool:
    """Whether a file begins as one: a length that a header may have, then a JSON object."""
    return len(begin) > 8 and begin[8:9] == b"{" and 2 <= int.from_bytes(begin[:8], "little") <= MOST_HEADER


def read_safetensors_file(path: Path) -> SafetensorsHeader:
    """Read the header of the file at a path. Raises BadModelFile, also for a file of another format, and OSError."""
    with open_regular(path) as file:
        if not is_safetensors(file.read(16)):
            raise BadModelFile("this is no safetensors file, though its name says so")
        file.seek(0)
        return read_safetensors(file, path.stat().st_size)


def read_safetensors(file: IO[bytes], size: int) -> SafetensorsHeader:
    """Read the header of a file. Raises BadModelFile for one that is cut off or damaged."""
    reader = Reader(file, size, "safetensors", MOST_HEADER)
    content = reader.take(reader.number("Q"))
    try:
        entries: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])  # Any: tensors, and metadata
        metadata = msgspec.convert(entries.pop(METADATA, {}), type=dict[str, str])
        tensors = msgspec.convert(entries, type=dict[str, Tensor])
    except UNREADABLE as error:
        raise BadModelFile(f"its header cannot be read: {error}") from error
    parameters = end = 0
    for name, tensor in tensors.items():
        begin, stop = tensor.data_offsets
        if not 0 <= begin <= stop or len(tensor.shape) > MOST_DIMENSIONS or any(n < 0 for n in tensor.shape):
            raise BadModelFile(f"the tensor '{printable(name, 80)}' has no place in the file: it is damaged")
        elements = math.prod(tensor.shape)
        bits = _BITS.get(tensor.dtype)
        if bits is not None and elements * bits != (stop - begin) * 8:
            raise BadModelFile(
                f"the tensor '{printable(name, 80)}' has {stop - begin} bytes, its shape needs {elements * bits // 8}"
            )
        parameters += elements if bits is not None else 0
        end = max(end, stop)
    if reader.place + end > size:
        raise BadModelFile(reader.cut_off(reader.place + end))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return SafetensorsHeader(metadata=metadata, parameters=parameters, tensors=shapes)
