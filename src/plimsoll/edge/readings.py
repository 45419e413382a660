"""Readings of sensors as inference requests. Pure.

A reading is a request of the Open Inference Protocol (`{"inputs": […]}`), or an object with the inputs by name:
`{"load": 0.5, "speed": [1, 2]}`. A single value stands for every dimension of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from plimsoll.decoding import UNREADABLE

MOST_BYTES = 8 << 20
"""Bytes of one reading."""
_DEPTH = 16


class BadReading(Exception):
    """The reading is no request; the message says why."""


def request_of(payload: bytes, inputs: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The request of a reading. `inputs` are those of the model's metadata: name, datatype and shape of each."""
    if len(payload) > MOST_BYTES:
        raise BadReading(f"it has more than {MOST_BYTES} bytes")
    try:
        found = msgspec.json.decode(payload)
    except UNREADABLE as error:
        raise BadReading(f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadReading("it is no object with the inputs by name")
    if isinstance(found.get("inputs"), list):
        return found
    names = [str(each["name"]) for each in inputs]
    if unknown := sorted(set(found) - set(names)):
        raise BadReading(f"the model has no input '{unknown[0][:80]}'; its inputs are {', '.join(names)}")
    if missing := sorted(set(names) - set(found)):
        raise BadReading(f"the input '{missing[0]}' is missing")
    return {"inputs": [_tensor(each, found[str(each["name"])]) for each in inputs]}


def _tensor(declared: Mapping[str, object], value: object) -> dict[str, object]:
    shape, data = _flat(value, 0)
    rank = len(_shape_of(declared))
    if len(shape) > rank:
        raise BadReading(f"the input '{declared['name']}' has {rank} dimensions, and the reading {len(shape)}")
    # The dimension of rows comes first: a reading without it is one row.
    return {
        "name": declared["name"],
        "datatype": declared["datatype"],
        "shape": [1] * (rank - len(shape)) + shape,
        "data": data,
    }


def _shape_of(declared: Mapping[str, object]) -> Sequence[object]:
    shape = declared.get("shape")
    return shape if isinstance(shape, list) else []


def _flat(value: object, depth: int) -> tuple[list[int], list[object]]:
    """The shape of nested lists, and their values in row-major order."""
    if not isinstance(value, list):
        if isinstance(value, dict) or value is None:
            raise BadReading("a value is neither a number, a text, true nor false")
        return [], [value]
    if depth == _DEPTH:
        raise BadReading(f"its lists are nested more than {_DEPTH} deep")
    parts = [_flat(each, depth + 1) for each in value]
    shapes = [shape for shape, _ in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise BadReading("its lists have different lengths")
    return [len(value), *(shapes[0] if shapes else [])], [each for _, data in parts for each in data]
