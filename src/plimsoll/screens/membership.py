"""`python -m plimsoll.screens.membership`: tell rows that a model learnt from by its answers, as an attacker would.

The attacker has a row, its label and the answer. Two attacks: by the loss (Yeom et al. 2018), whose sign is the
logarithm of the odds of the label, which is nearly normal; and by that number in units of the spread of other rows with
the same label, as the offline attack of Carlini et al. (2022) does by row with models of its own. No further model is
trained: an attacker who trains some may do better, so that what is found is the least.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.files import replace_file
from plimsoll.runtime.model_digests import digests_in
from plimsoll.screens.attack import FALSE, Attack, Membership

if TYPE_CHECKING:
    from plimsoll.runtime.tensors import Array

MOST_ROWS = 20_000
"""Rows of each table that the model answers, evenly spread."""
LEAST_ROWS = 30
Z = 1.959964
"""Standard errors of an interval of 95 %."""


def main() -> None:
    """Write what was found; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.screens.membership", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--members", type=Path, required=True, help="a table of rows that it learnt from")
    parser.add_argument("--others", type=Path, required=True, help="a table of rows that it has not seen")
    parser.add_argument("--label", required=True, help="the column with the true labels")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--digest", action="append", default=[], metavar="FILE=sha256:…")
    arguments = parser.parse_args()
    try:
        found = inferred(
            arguments.model, arguments.members, arguments.others, arguments.label, digests_in(arguments.digest)
        )
        replace_file(arguments.output, msgspec.json.encode(found))
    except (PlimsollError, OSError) as error:
        sys.stderr.write(f"error: {error.on_one_line() if isinstance(error, PlimsollError) else error}\n")
        sys.exit(1)


def inferred(
    path: Path, members: Path, others: Path, label: str, digests: Mapping[str, str] | None = None
) -> Membership:
    """Attack a model. Raises PlimsollError for answers or labels by which it cannot be."""
    try:
        from plimsoll.runtime.model import OnnxModel
    except ImportError:
        raise MissingExtra("serve", "an attack on a model") from None
    from plimsoll.screens.answers import sureness

    model = OnnxModel(path, "model", files=digests)
    (inside, inside_labels), (outside, outside_labels) = (
        sureness(model, table, label, MOST_ROWS) for table in (members, others)
    )
    for table, rows in ((members, inside), (others, outside)):
        if len(rows) < LEAST_ROWS:
            text = f"{table.name} has {len(rows)} rows with a label, and {LEAST_ROWS} are needed"
            raise PlimsollError(text, where=str(table))
    return Membership(
        members=len(inside),
        others=len(outside),
        attacks=(
            attack("by the loss", inside, outside),
            attack("by the loss for its label", *_by_label(inside, inside_labels, outside, outside_labels)),
        ),
    )


def attack(name: str, members: Array, others: Array) -> Attack:
    """How well a number that is larger for members tells them from others."""
    auc, error = area(members, others)
    tpr = true_positives(members, others)
    low, high = wilson(tpr, len(members))
    return Attack(
        name=name,
        auc=auc,
        auc_low=max(0.0, auc - Z * error),
        auc_high=min(1.0, auc + Z * error),
        tpr=tpr,
        tpr_low=low,
        tpr_high=high,
    )


def area(members: Array, others: Array) -> tuple[float, float]:
    """The area under the curve and its standard error (DeLong, DeLong and Clarke-Pearson 1988)."""
    import numpy as np

    ordered_others, ordered_members = np.sort(others), np.sort(members)

    def below(values: Array, ordered: Array) -> Array:
        """The share of `ordered` that is less than each value; what is equal counts half."""
        left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
        return (left + right) / (2 * len(ordered))

    of_members, of_others = below(members, ordered_others), 1 - below(others, ordered_members)
    variance = of_members.var(ddof=1) / len(members) + of_others.var(ddof=1) / len(others)
    # An attack that never errs has no variance, and few rows are no proof: Hanley and McNeil's bound for one error.
    least = 1 / (len(members) * len(others))
    return float(of_members.mean()), math.sqrt(max(float(variance), least))


def true_positives(members: Array, others: Array) -> float:
    """The share of members above a threshold that at most one in a hundred others is above."""
    import numpy as np

    threshold = np.sort(others)[-(int(FALSE * len(others)) + 1)]
    return float((members > threshold).mean())


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The interval of 95 % of a share (Wilson 1927)."""
    middle = share + Z * Z / (2 * rows)
    half = Z * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    whole = 1 + Z * Z / rows
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def _by_label(inside: Array, inside_labels: Array, outside: Array, outside_labels: Array) -> tuple[Array, Array]:
    """The numbers in units of the spread of other rows with the same label, from their mean."""
    import numpy as np

    scaled = inside.copy(), outside.copy()
    for label in np.unique(inside_labels):
        same = outside[outside_labels == label]
        # Of few others, the spread of all others stands in.
        of = same if len(same) >= LEAST_ROWS else outside
        mean, spread = float(of.mean()), float(of.std()) or 1.0
        for values, labels in zip(scaled, (inside_labels, outside_labels), strict=True):
            values[labels == label] = (values[labels == label] - mean) / spread
    return scaled


if __name__ == "__main__":
    main()
