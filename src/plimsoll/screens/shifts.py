"""What has moved since the version of the data before: the drift of each column, as services judge it of what they see.

The profile of a version has counts in bins, and nothing of columns with personal data. It lies with the results of the
application, and is what the drift of services keeps of a training, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from plimsoll.runtime.tensors import Array
from plimsoll.screens.material import Material
from plimsoll.screens.outcomes import Measured, Outcome, Unmeasured, finding
from plimsoll.screens.rows import as_texts
from plimsoll.telemetry.drift.features import build_side
from plimsoll.telemetry.drift.judging import MIN_ROWS, judge_window
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.reference import SideReference
from plimsoll.telemetry.drift.window import window_of_table

LEVEL = 0.01
"""The chance that a version without a shift is said to have one."""


def profile(material: Material) -> SideReference:
    """The profile of this version: of the rows to learn from, its label among them."""
    return build_side(_columns(material), "input")


def shifts(material: Material) -> Iterator[Outcome]:
    """`shift`: the largest distance of a column that moved; 0 where none did, 1 where one is gone or new."""
    before = material.earlier
    if before is None:
        yield Unmeasured("shift", "this is the first version: there is none before to compare with", first=True)
        return
    columns = _columns(material)
    if len(material.learnt) < MIN_ROWS:
        yield Unmeasured("shift", f"there are {len(material.learnt)} rows, and {MIN_ROWS} are needed")
        return
    known = {feature.column for feature in before.features}
    largest = 0.0
    for name in [*(known - columns.keys()), *(columns.keys() - known)]:
        largest = 1.0
        what = "it was there before, and is gone" if name in known else "it was not there before"
        yield finding("shift", what, (), column=name)
    window = window_of_table(before, columns, datetime.now(UTC))
    for each in judge_window(before, window, LEVEL, DriftLimits()):
        if each.alarm:
            largest = max(largest, abs(each.value))
            # Not what drift says of it in words, which has values.
            yield finding("shift", f"{each.statistic} {abs(each.value):.3g} from the version before", (), each.feature)
    yield Measured("shift", largest)


def _columns(material: Material) -> Mapping[str, Array]:
    label = material.order.label
    columns = {name: column for name, column in material.learnt.columns.items() if name in material.told}
    if material.classes and label in columns and columns[label].dtype.kind == "f":
        columns[label] = as_texts(columns[label])
    return columns
