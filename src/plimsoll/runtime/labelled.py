"""Predictions of a batch beside the true labels of its table, for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.predictions import LABEL
from plimsoll.runtime.scored_parts import Cells, shortest_text
from plimsoll.runtime.tables.chunk import Column, python_values
from plimsoll.runtime.tables.table import Table

FILE = "labelled.csv"
"""The file in the output of a batch, with the columns `label` and `prediction`."""
HEADER = (LABEL, "prediction")


class Labels(Struct, frozen=True, kw_only=True):
    """The column of the table with the labels, and the one of the result that is compared with it."""

    label: str
    prediction: str

    def pairs(self, table: dict[str, Column], result: dict[str, Cells]) -> Iterator[tuple[str, str]]:
        """Label and prediction of each row that has a label."""
        labels = python_values(table[self.label])
        for label, prediction in zip(labels, shortest_text(result[self.prediction]), strict=True):
            if label is not None and (text := _text(label)) != "":
                yield text, _text(prediction)


def labels_of(table: Table, label: str, prediction: str | None, columns: Sequence[str]) -> Labels:
    """What is compared. Raises PlimsollError for a column that is not there, and where none is meant for certain."""
    if label not in table.names:
        hint = f"the table has {', '.join(list(table.names)[:10])}"
        raise PlimsollError(f"the table lacks the column '{label}' of labels", where=str(table.path), hint=hint)
    if prediction is None:
        prediction = LABEL if LABEL in columns else columns[0] if len(columns) == 1 else None
    if prediction is None or prediction not in columns:
        text = "nothing says which column is the prediction" if prediction is None else f"there is no '{prediction}'"
        hint = f"write prediction: NAME beside label; the result has {', '.join(list(columns)[:10])}"
        raise PlimsollError(f"labels cannot be compared: {text}", where="label", hint=hint)
    return Labels(label=label, prediction=prediction)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)
