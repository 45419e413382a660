"""The probe observes nothing yet, so that no record shows anything."""

from __future__ import annotations

from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Verdict, unknown


def judge(record: Recorded) -> Verdict:
    """Never more than unknown."""
    return unknown("plimsoll cannot test a second network yet")
