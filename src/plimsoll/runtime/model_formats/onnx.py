"""ONNX: a message of Protocol Buffers without a magic number. Source: onnx.proto, ModelProto."""

from __future__ import annotations

from typing import IO

from msgspec import Struct

from plimsoll.runtime.model_formats.reader import BadModelFile, Reader

_IR_VERSION, _PRODUCER, _GRAPH, _OPSETS = 1, 2, 7, 8
_KNOWN = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
"""Fields of a ModelProto."""
_LOCATION = b"\x0a\x08location\x12"
"""How an entry of TensorProto.external_data with the name of a file begins."""
_SEARCHED = 32 << 20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class OnnxHeader(Struct, frozen=True, kw_only=True):
    """The version of the format, and what wrote the file."""

    version: int
    producer: str


def may_be_onnx(begin: bytes) -> bool:
    """Whether a file begins as one: the version of the format is the first field, and small."""
    return len(begin) > 2 and begin[0] == _IR_VERSION << 3 | _VARINT and 1 <= begin[1] <= 127


def read_onnx(file: IO[bytes], size: int) -> OnnxHeader:
    """Read the fields of a model, without its graph. Raises BadModelFile for one that is cut off or is no model."""
    reader = Reader(file, size, "ONNX")
    version, producer, seen = 0, "", set()
    while reader.place < size:
        field, kind = divmod(_varint(reader), 8)
        if field not in _KNOWN:
            raise BadModelFile(f"it has a field {field} that no ONNX model has: it is damaged, or no ONNX file")
        seen.add(field)
        if kind == _VARINT:
            value = _varint(reader)
            version = value if field == _IR_VERSION else version
        elif kind == _BYTES:
            length = _varint(reader)
            if field == _PRODUCER and length <= 1000:
                producer = reader.take(length).decode("utf-8", errors="replace")
            else:
                reader.skip(length)
        elif kind in (_FIXED32, _FIXED64):
            reader.skip(4 if kind == _FIXED32 else 8)
        else:
            raise BadModelFile("it is damaged, or no ONNX file")
    missing = [name for field, name in ((_GRAPH, "graph"), (_OPSETS, "operator set")) if field not in seen]
    if missing:
        raise BadModelFile(f"the ONNX file has no {' and no '.join(missing)}: it is cut off, or no model")
    if _has_external_data(file):
        raise BadModelFile("the ONNX file has its weights in other files: save it as one, which may have 2 GB")
    return OnnxHeader(version=version, producer=producer)


def _has_external_data(file: IO[bytes]) -> bool:
    """Whether a tensor names another file. A file that does is small: its weights are elsewhere."""
    file.seek(0)
    return _LOCATION in file.read(_SEARCHED)


def _varint(reader: Reader) -> int:
    value = 0
    for place in range(10):
        (byte,) = reader.take(1)
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value
    raise BadModelFile("it is damaged, or no ONNX file")
