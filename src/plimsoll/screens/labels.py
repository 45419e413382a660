"""Labels that other rows contradict: near duplicates with another label, and rows that a model would label otherwise.

`flips` follows confident learning (Northcutt, Jiang and Chuang 2021): each row's probabilities are by trees that have
not seen it, and a row counts when another class is as probable as it is on average for rows of that class, and its own
label is improbable. Of a class that cannot be told from another one, rows are not counted: nobody could say of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.screens.material import Material
from plimsoll.screens.outcomes import Measured, Outcome, Unmeasured, finding

IMPROBABLE = 0.1
"""The probability of its own label below which a row's label may be wrong; less for a class that is hard to tell."""
LEAST_ROWS = 50
LEAST_OF_CLASS = 10


def contradictions(material: Material) -> Iterator[Outcome]:
    """The share of compared rows of which a near duplicate has another label."""
    if reason := material.no_classes():
        yield Unmeasured("contradictions", reason)
        return
    found, labels = material.neighbours, material.labels[material.sample]
    if not found.shape[1]:
        yield Unmeasured("contradictions", "there are no rows or no columns to compare")
        return
    other = labels[found] != labels[:, None]
    against = (other & material.near_duplicates).any(axis=1)
    yield Measured("contradictions", float(against.mean()))
    if against.any():
        what = f"{against.sum()} rows have a near duplicate with another label"
        yield finding("contradictions", what, material.learnt.numbers[material.sample[against]])


def flips(material: Material) -> Iterator[Outcome]:
    """The share of compared rows whose label the rest contradicts."""
    reason = material.no_classes()
    labels = material.labels[material.sample] if not reason else np.zeros(0)
    if not reason and len(labels) < LEAST_ROWS:
        reason = f"there are {len(labels)} rows with a label, and {LEAST_ROWS} are needed"
    if reason or not material.points[0].shape[1]:
        for figure in ("flips", "flips_rise"):
            yield Unmeasured(figure, reason or "no column is left to judge rows by")
        return
    wrong = contradicted(material.unseen.probabilities, labels)
    share = float(wrong.mean())
    yield Measured("flips", share)
    yield from _rise(material, share)
    if wrong.any():
        what = f"{wrong.sum()} rows have a label that the other rows contradict"
        yield finding("flips", what, material.learnt.numbers[material.sample[wrong]])


def _rise(material: Material, share: float) -> Iterator[Outcome]:
    """What is contradicted more than in the version before: of hard data, some always is."""
    if not material.had_before:
        yield Unmeasured("flips_rise", "this is the first version: there is none before to compare with", first=True)
    elif "flips" not in material.before:
        yield Unmeasured("flips_rise", "the version before was screened without a figure for `flips`")
    else:
        yield Measured("flips_rise", share - material.before["flips"])


def contradicted(probabilities: Array, labels: Array) -> Array:
    """Which labels are contradicted."""
    rows = np.arange(len(labels))
    given = probabilities[rows, labels]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    usual = np.array(
        [given[labels == each].mean() if counts[each] >= LEAST_OF_CLASS else np.inf for each in range(len(counts))]
    )
    above = np.where(probabilities >= usual, probabilities, 0.0)
    above[rows, labels] = 0.0
    return (above.max(axis=1) > 0) & (given <= IMPROBABLE * np.minimum(1.0, usual[labels] / 0.5))  # type: ignore[no-any-return]  # numpy of bools
