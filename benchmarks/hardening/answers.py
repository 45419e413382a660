"""Compares the answer of a server with what the reference reader has read. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.hardening.reference import KINDS, Array, Read, Refused, Unclear, from_bytes
from benchmarks.hardening.wire import Answer

ALLOWED = frozenset({501, 505})
"""Statuses from 500 on that say what the client did: a transfer coding or a version that no server has."""


def status_problem(status: int) -> str | None:
    """What is wrong with a status as the answer to an input; `None` when nothing is."""
    return f"status {status} from input" if status >= 500 and status not in ALLOWED else None


def outputs_of(answer: Answer) -> tuple[dict[str, Array], str | None]:
    """The outputs by name and the id. Raises ValueError, KeyError, TypeError or Refused for one that is malformed."""
    end = len(answer.body) if answer.json_length is None else answer.json_length
    head, rest = json.loads(answer.body[:end]), answer.body[end:]
    found: dict[str, Array] = {}
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = _plain(output["data"], output["datatype"], output["shape"])
        else:
            found[output["name"]] = from_bytes(rest[:size], output["datatype"], output["shape"])
            rest = rest[size:]
    if rest:
        raise Refused("bytes that belong to no output")
    return found, head.get("id")


def _plain(data: list[Any], datatype: str, shape: list[int]) -> Array:
    """JSON has neither NaN nor infinities: they come as null."""
    if np.dtype(KINDS[datatype]).kind == "f":
        data = [np.nan if value is None else value for value in data]
    array: Array = np.array(data, dtype=KINDS[datatype]).reshape(shape)
    return array


def difference(answer: Answer, read: Read | Refused | Unclear, expected: Mapping[str, Array] | None) -> str | None:
    """What is wrong with an answer of status 200. `expected` are all outputs for what was read."""
    if isinstance(read, Unclear):
        return None
    if isinstance(read, Refused):
        return f"it answers what cannot be read so: {read}"
    try:
        found, identity = outputs_of(answer)
    except (ValueError, KeyError, TypeError, Refused, Unclear, struct.error) as error:
        return f"an answer that cannot be read: {type(error).__name__}: {error}"
    if identity != read.id:
        return "another id"
    if expected is None:
        return None
    wanted = read.outputs or tuple(expected)
    if set(found) != set(wanted):
        return "other outputs than those asked for"
    wrong = [name for name, array in found.items() if not same(array, expected[name], exact=answer.json_length)]
    return f"another value in {', '.join(wrong)}" if wrong else None


def same(found: Array, expected: Array, *, exact: int | None = None) -> bool:
    """Whether two arrays are equal; infinities that went through JSON (`exact` is None) may be NaN."""
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((found == expected).all())
    if exact is None:
        expected = np.where(np.isinf(expected), np.nan, expected).astype(expected.dtype)
    return bool(np.array_equal(found, expected, equal_nan=True))
