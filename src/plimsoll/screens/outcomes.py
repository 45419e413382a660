"""What one check gives: figures, findings, and why something was not measured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from plimsoll.runtime.tensors import Array
from plimsoll.screens.figures import MOST_ROWS_NAMED, Finding


class Measured(Struct, frozen=True):
    """A figure and its value."""

    figure: str
    value: float


class Unmeasured(Struct, frozen=True):
    """A figure that was not measured, and why. `first`: there is nothing before that it would compare with."""

    figure: str
    reason: str
    first: bool = False


Outcome = Measured | Unmeasured | Finding


def finding(figure: str, what: str, numbers: Array | Iterable[int], column: str = "") -> Finding:
    """A finding about rows by their numbers; the first are named."""
    found = np.sort(np.asarray(list(numbers), dtype=np.int64))
    rows = tuple(found[:MOST_ROWS_NAMED].tolist())
    return Finding(figure=figure, column=column, what=what, count=len(found), rows=rows)
