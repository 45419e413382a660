"""Columns with personal data: which, of what kind, in which rows. Never what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.screens.outcomes import Measured, Outcome, finding
from plimsoll.screens.recognisers import (
    Recogniser,
    named_as_personal,
    of_state,
    positions,
    recognisers,
    seen_in,
)

if TYPE_CHECKING:
    from plimsoll.screens.material import Material
    from plimsoll.screens.rows import Rows

Kind = tuple[str, Array]
"""What the data is, and the numbers of the rows that have it."""
MOST_CELLS = 20_000
"""Cells of a column that are looked at, evenly spread."""
LEAST_DIGITS = 1e7
"""Numbers below this are too short for those of cards and of people."""


def personal_in(table: Rows) -> Mapping[str, tuple[Kind, ...]]:
    """The columns with personal data, and which kinds each has. All rows are looked at, those for tests too."""
    known = recognisers()
    found = {name: tuple(_kinds(name, column, table.numbers, known)) for name, column in table.columns.items()}
    return {name: kinds for name, kinds in found.items() if kinds}


def personal(material: Material) -> Iterator[Outcome]:
    """How many columns have personal data that the file does not name, and of which kind."""
    unnamed = {name: kinds for name, kinds in material.personal.items() if name not in material.order.allowed}
    yield Measured("personal", float(len(unnamed)))
    for name, kinds in unnamed.items():
        for what, numbers in kinds:
            yield finding("personal", what, numbers, column=name)


def _kinds(name: str, column: Array, numbers: Array, known: tuple[Recogniser, ...]) -> Iterator[Kind]:
    some = slice(None, None, max(1, -(-len(column) // MOST_CELLS)))
    cells = [*positions(_cells(column[some]), MOST_CELLS)]
    if not cells:
        return
    at = numbers[some]
    for each in known:
        formed, true, places = seen_in(cells, each)
        if true and true >= each.share * formed:
            yield f"{each.what} in {len(places)} of {len(cells)} cells", at[places]
    if what := of_state(cell for _, cell in cells):
        yield f"nearly every cell is {what}", at[[place for place, _ in cells]]
    elif named_as_personal(name):
        yield "its name says so", np.zeros(0, dtype=np.int64)


def _cells(column: Array) -> list[str | None]:
    """The cells as texts; of numbers, those that are whole and long."""
    if column.dtype.kind == "O":
        return column.tolist()  # type: ignore[no-any-return]
    return [
        f"{value:.0f}" if LEAST_DIGITS <= value < 1e19 and value.is_integer() else None for value in column.tolist()
    ]
