"""Nothing is tried yet, so that no record shows anything."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """Never more than unknown."""
    return unknown("no model server is brought along to try it with")
