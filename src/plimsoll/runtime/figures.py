"""The figures that a step writes to metrics.json. What is no figure is left out and named; it never fails the step.

A training may have taken days, so that its model is worth more than any of its figures.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

NAME = "metrics.json"
SIZE_LIMIT = 4 << 20
"""Bytes of metrics.json: figures are recorded in the journal and in the model, which are read whole."""
COUNT_LIMIT = 1000
"""Figures of one step."""
DEPTH_LIMIT = 8
"""Nested objects around a figure."""
NOTES_LIMIT = 8
"""Figures that are named when they are left out; the rest are counted."""


class Figures(Struct, frozen=True, kw_only=True):
    """Finite numbers by name; `notes` has a sentence for each figure that was left out, and why."""

    metrics: dict[str, float] = {}
    notes: tuple[str, ...] = ()


def read_figures(output: Path) -> Figures:
    """The figures in metrics.json; none when it does not exist. A nested object gives names such as `test.accuracy`."""
    try:
        content = _read(output / NAME)
    except FileNotFoundError:
        return Figures()
    except OSError as error:
        return _none(error.strerror or str(error))
    try:
        # Python refuses to convert a whole number of many digits; a float has no such limit.
        document = json.loads(content, parse_int=float)
    except RecursionError:
        return _none("it is nested too deeply")
    except ValueError as error:
        return _none(f"it is not JSON: {error}")
    if not isinstance(document, dict):
        return _none('it is not an object such as {"accuracy": 0.93, "rows": 1200}')
    return _figures_of(document)


def _figures_of(document: dict[str, object]) -> Figures:
    metrics: dict[str, float] = {}
    left_out: list[str] = []
    for name, value in _flat(document):
        number = _number(value)
        if isinstance(number, str):
            left_out.append(f"{NAME}: {_shown(name)} is {number} and is left out")
        elif not _is_text(name):
            left_out.append(f"{NAME}: the name {_shown(name)} is not text and is left out")
        elif name in metrics:
            left_out.append(f"{NAME}: {_shown(name)} is there twice; the first counts")
        elif len(metrics) == COUNT_LIMIT:
            left_out.append(f"{NAME}: {_shown(name)} is beyond {COUNT_LIMIT} figures and is left out")
        else:
            metrics[name] = number
    more = len(left_out) - NOTES_LIMIT
    notes = left_out[:NOTES_LIMIT] + ([f"{NAME}: {more} more are left out"] if more > 0 else [])
    return Figures(metrics=metrics, notes=tuple(notes))


def _flat(document: dict[str, object], before: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """The values by their names; the names inside an object follow the object's own and a dot."""
    for name, value in document.items():
        if isinstance(value, dict) and depth < DEPTH_LIMIT:
            yield from _flat(value, f"{before}{name}.", depth + 1)
        else:
            yield before + name, value


def _number(value: object) -> float | str:
    """A finite number, or what the value is instead."""
    match value:
        case None:
            return "null, not a number,"
        case bool():
            return f"{str(value).lower()}, not a number,"
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "infinite or too large"
        case str():
            return "text, not a number,"
        case list():
            return "a list, not a number,"
        case _:
            return "nested too deeply"


def _read(path: Path) -> bytes:
    """The content of a regular file within the limit. Raises OSError; never waits for the writer of a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise OSError(0, f"it is larger than {SIZE_LIMIT >> 20} MiB")
    return content


def _none(reason: str) -> Figures:
    return Figures(notes=(f"{NAME} has no figures that can be read: {reason}",))


def _is_text(name: str) -> bool:
    """Whether the name can be written as UTF-8; JSON may escape half of a surrogate pair."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    return "'" + name[:80].encode(errors="backslashreplace").decode() + "'"
