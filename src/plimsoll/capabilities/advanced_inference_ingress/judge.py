"""Nothing is tried yet, so that no record shows anything."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """Never more than unknown."""
    return unknown("routing through a picker cannot be tried yet")
