"""How sure a model is of the true label of each row: the logarithm of the odds, or how near a number comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.errors import PlimsollError
from plimsoll.runtime.fixed_batch import run_rows
from plimsoll.runtime.tables.chunk import python_values
from plimsoll.runtime.tables.layout import input_layout
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import BadTensor

if TYPE_CHECKING:
    from plimsoll.runtime.model import OnnxModel
    from plimsoll.runtime.tensors import Array

CHUNK = 2_000
SURE = 1e-7


def sureness(model: OnnxModel, path: Path, label: str, most: int) -> tuple[Array, Array]:
    """For each row with a label, how sure the model is of it, and the label. At most `most` rows, evenly spread.

    Rows that a column part or split marks as held out do not count as learnt from: name tables without such rows.
    Raises PlimsollError.
    """
    table = Table(path)
    if label not in table.names:
        raise PlimsollError(f"the table has no column '{label}'", where=str(path))
    layout = input_layout(table, model.spec)
    every = max(1, -(-sum(chunk.rows for chunk in table.chunks(CHUNK, ())) // most))
    sure: list[Array] = []
    labels: list[str] = []
    for chunk in table.chunks(CHUNK, {*layout.names, label}):
        some = slice(-chunk.first % every, None, every)
        tensors = {name: tensor[some] for name, tensor in layout.tensors(chunk).items()}
        true = [_text(cell) for cell in python_values(chunk.columns[label])[some]]
        if not true:
            continue
        try:
            outputs = run_rows(model.run, model.spec, tensors, len(true))
        except BadTensor as error:
            raise PlimsollError(str(error), where=f"{path}, rows from {chunk.first}") from error
        found = _sure(outputs, model.spec.classes, true, str(path))
        known = np.array([bool(each) for each in true]) & np.isfinite(found)
        sure.append(found[known])
        labels += [each for each, is_known in zip(true, known.tolist(), strict=True) if is_known]
    return (np.concatenate(sure) if sure else np.zeros(0)), np.array(labels, dtype=object)


def _text(cell: object) -> str:
    if cell is None:
        return ""
    text = str(cell).strip()
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{value:.15g}" if np.isfinite(value) else ""


def _sure(outputs: Mapping[str, Array], classes: tuple[str, ...], true: list[str], where: str) -> Array:
    scores = _probabilities(outputs, len(true))
    if scores is None:
        return _near(outputs, true, where)
    width = scores.shape[1]
    names = {
        _text(name): place for place, name in enumerate(classes if len(classes) == width else map(str, range(width)))
    }
    places = np.array([names.get(each, int(each) if each.isdigit() and int(each) < width else -1) for each in true])
    given = np.where(places >= 0, scores[np.arange(len(true)), np.maximum(places, 0)], np.nan)
    cut = np.clip(given.astype(np.float64), SURE, 1 - SURE)
    odds: Array = np.log(cut) - np.log1p(-cut)
    return odds


def _probabilities(outputs: Mapping[str, Array], rows: int) -> Array | None:
    """The output with a probability for each class; of one column, that of the second of two."""
    for array in outputs.values():
        if array.dtype.kind != "f" or array.shape[:1] != (rows,):
            continue
        flat = array.reshape(rows, -1)
        inside = ((flat >= -1e-4) & (flat <= 1 + 1e-4)).all()
        if flat.shape[1] > 1 and inside and np.allclose(flat.sum(axis=1), 1, atol=1e-3):
            return flat
    return next(_of_two(outputs, rows), None)


def _of_two(outputs: Mapping[str, Array], rows: int) -> Iterator[Array]:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.size == rows and "prob" in name.lower():
            flat = array.reshape(rows).astype(np.float64)
            if ((flat >= 0) & (flat <= 1)).all():
                yield np.stack([1 - flat, flat], axis=1)


def _near(outputs: Mapping[str, Array], true: list[str], where: str) -> Array:
    """Minus the distance of a predicted number."""
    for array in outputs.values():
        if array.dtype.kind == "f" and array.size == len(true):
            try:
                wanted = np.array([float(each) if each else np.nan for each in true])
            except ValueError:
                break
            return -np.abs(array.reshape(-1).astype(np.float64) - wanted)  # type: ignore[no-any-return]
    hint = "give the model an output with a probability for each class, or with one number"
    raise PlimsollError(
        "the model's answers have neither probabilities of its classes nor a number", where=where, hint=hint
    )
