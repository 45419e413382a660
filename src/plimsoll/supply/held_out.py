"""Reads the rows that a training held out: predictions.csv, with labels, predictions, and columns to group them by."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from plimsoll.supply.group_figures import HeldOut, Judged, judge, number

NAME = "predictions.csv"
LABEL, PREDICTION, SCORE = "label", "prediction", "score"
MOST_ROWS = 200_000
"""Rows that are read: a card is made while a run waits."""
LONGEST_CELL = 200


def judged(output: Path, columns: Sequence[str]) -> tuple[Judged | None, str]:
    """The figures of predictions.csv in a training's files, overall and by columns; or why there are none."""
    path = output / NAME
    if not path.is_file():
        return None, f"figures of rows that were held out: the training wrote no {NAME}"
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return _judged(csv.reader(file), columns)
    except (OSError, csv.Error) as error:
        return None, f"figures of rows that were held out: {NAME} cannot be read: {error}"


def _judged(lines: Iterator[list[str]], columns: Sequence[str]) -> tuple[Judged | None, str]:
    names = [name.strip() for name in next(lines, [])]
    if missing := [name for name in (LABEL, PREDICTION) if name not in names]:
        return None, f"figures of rows that were held out: {NAME} has no column {' and no column '.join(missing)}"
    known = [column for column in columns if column in names]
    notes = [f"{NAME} has no column {column}: no figures by {column}" for column in columns if column not in names]
    rows = _rows(lines, names, known)
    if len(rows) > MOST_ROWS:
        notes.append(f"only the first {MOST_ROWS} rows of {NAME} are counted")
    if not rows:
        return None, f"figures of rows that were held out: {NAME} has no rows"
    return judge(rows[:MOST_ROWS], known, f"{NAME} of the training", notes), ""


def _rows(lines: Iterator[list[str]], names: Sequence[str], columns: Sequence[str]) -> list[HeldOut]:
    """Each row with a label, one more than the limit at most."""
    label, prediction = names.index(LABEL), names.index(PREDICTION)
    score = names.index(SCORE) if SCORE in names else None
    groups = [names.index(column) for column in columns]
    last = max(label, prediction, *groups, score or 0)
    found: list[HeldOut] = []
    for line in lines:
        if len(line) <= last or not line[label].strip():
            continue
        found.append(
            HeldOut(
                label=line[label].strip()[:LONGEST_CELL],
                prediction=line[prediction].strip()[:LONGEST_CELL],
                score=number(line[score]) if score is not None else None,
                groups=tuple(line[place].strip()[:LONGEST_CELL] for place in groups),
            )
        )
        if len(found) > MOST_ROWS:
            break
    return found
