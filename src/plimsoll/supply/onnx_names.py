"""The names in an ONNX model that lead elsewhere: files of its weights, and sets of operators. Source: onnx.proto."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import IO

from msgspec import Struct, field

from plimsoll.runtime.model_formats.reader import BadModelFile

MOST_FIELDS = 20_000_000
DEEPEST = 100
LONGEST_NAME = 4096

_INNER: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
        "training": {1: "graph", 2: "graph"},
        "graph": {1: "node", 5: "tensor", 15: "sparse"},
        "function": {7: "node"},
        "node": {5: "attribute"},
        "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        "sparse": {1: "tensor", 2: "tensor"},
        "tensor": {13: "entry"},
        "opset": {},
        "entry": {},
    }
)
"""The messages in messages that have names, by the number of their field."""
_NAMES: Mapping[str, frozenset[int]] = MappingProxyType(
    {"node": frozenset({7}), "function": frozenset({10}), "opset": frozenset({1}), "entry": frozenset({1, 2})}
)


class NamesFound(Struct):
    """Files of external data, domains of operators that are used, and domains that the model's functions define."""

    locations: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)


def names_in_onnx(file: IO[bytes], size: int) -> NamesFound:
    """Walk through a model without its weights. Raises BadModelFile for what is damaged or no ONNX."""
    walk = _Walk(file)
    file.seek(0)
    walk.message("model", size, 0)
    return walk.found


class _Walk:
    def __init__(self, file: IO[bytes]) -> None:
        self.found = NamesFound()
        self._file = file
        self._fields = 0

    def message(self, kind: str, end: int, depth: int) -> None:
        if depth > DEEPEST:
            raise BadModelFile(f"it has graphs in graphs, more than {DEEPEST} deep")
        texts: dict[int, str] = {}
        while (place := self._file.tell()) < end:
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise BadModelFile(f"it has more than {MOST_FIELDS} fields")
            number, form = divmod(self._varint(), 8)
            if form == 2:
                self._bytes(kind, number, end, depth, texts)
            elif form == 0:
                self._varint()
            elif form in (1, 5):
                self._file.seek(self._file.tell() + (8 if form == 1 else 4))
            else:
                raise BadModelFile("it is damaged, or no ONNX file")
            if self._file.tell() > end or self._file.tell() <= place:
                raise BadModelFile("it is cut off, or damaged")
        self._keep(kind, texts)

    def _bytes(self, kind: str, number: int, end: int, depth: int, texts: dict[int, str]) -> None:
        length = self._varint()
        begin = self._file.tell()
        if begin + length > end:
            raise BadModelFile("it is cut off, or damaged")
        inner = _INNER[kind].get(number)
        if inner is not None:
            self.message(inner, begin + length, depth + 1)
        elif number in _NAMES.get(kind, ()):
            if length > LONGEST_NAME:
                raise BadModelFile(f"it has a name of {length} bytes")
            texts[number] = self._file.read(length).decode(errors="replace")
        self._file.seek(begin + length)

    def _keep(self, kind: str, texts: Mapping[int, str]) -> None:
        if kind in ("node", "opset"):
            self.found.domains.add(texts.get(7 if kind == "node" else 1, ""))
        elif kind == "function":
            self.found.defined.add(texts.get(10, ""))
        elif kind == "entry" and texts.get(1) == "location":
            self.found.locations.add(texts.get(2, ""))

    def _varint(self) -> int:
        value = 0
        for place in range(10):
            byte = self._file.read(1)
            if not byte:
                break
            value |= (byte[0] & 0x7F) << (7 * place)
            if not byte[0] & 0x80:
                return value
        raise BadModelFile("it is damaged, or no ONNX file")
