"""Reads predictions beside labels: those of rows that a training held out, and those of a batch with labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from plimsoll.report.evaluation import Evaluation, evaluate

NAME = "predictions.csv"
"""The file in `$PLIMSOLL_OUTPUT`, with a column `label` and a column `prediction`."""
MOST_ROWS = 200_000
"""Rows that are read: a page is written while somebody waits."""
BATCH_NAME = "labelled.csv"
"""The file that the scorer leaves of a batch whose table has labels."""
LABEL, PREDICTION = "label", "prediction"
_LONGEST_CELL = 200


def read_evaluation(output: Path) -> Evaluation | None:
    """The predictions in the files of a training, judged; None when it wrote none. A damaged file is a note."""
    return _evaluation(output / NAME, f"{NAME} of the training")


def read_batch_evaluation(output: Path) -> Evaluation | None:
    """The predictions of a batch whose table has labels, judged; None for another."""
    return _evaluation(output / BATCH_NAME, "the labels of the batch's table")


def _evaluation(path: Path, source: str) -> Evaluation | None:
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return _read(file, source)
    except (OSError, csv.Error) as error:
        return Evaluation(source=source, note=f"it cannot be read: {error}")


def _read(file: IO[str], source: str) -> Evaluation:
    """Raises OSError, csv.Error."""
    rows = csv.reader(file)
    names = [name.strip() for name in next(rows, [])]
    missing = [name for name in (LABEL, PREDICTION) if name not in names]
    if missing:
        return Evaluation(source=source, note=f"it has no column {' and no column '.join(missing)}")
    places = names.index(LABEL), names.index(PREDICTION)
    found = list(_pairs(rows, places))
    note = f"Only its first {MOST_ROWS} rows are counted." if len(found) > MOST_ROWS else ""
    return evaluate(found[:MOST_ROWS], source, note)


def _pairs(rows: Iterator[list[str]], places: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Label and prediction of each row that has both, one more than the limit at most."""
    count = 0
    for row in rows:
        if len(row) <= max(places) or not row[places[0]].strip():
            continue
        yield row[places[0]][:_LONGEST_CELL], row[places[1]][:_LONGEST_CELL]
        count += 1
        if count > MOST_ROWS:
            return
