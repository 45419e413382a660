"""Placement is judged apart from admission."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.capabilities.probe import judge
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.recorded import recorded

GANG = "gang_scheduling"
HELD = {"bound": 0, "seconds": 10.0, "all": True}


def record(by: str, **beside: Any) -> list[Observation]:
    """The record of the lab, with a case beside real processors as a scheduler of that kind leaves it."""
    seen = []
    for each in recorded(GANG):
        if each.event == "scheduler":
            seen.append(observed("check", GANG, "scheduler", name="Kueue", by=by, others=["Volcano"]))
            continue
        if each.event == "ended" and beside:
            seen.append(observed("check", GANG, "case", **{"case": "beside", "scheduler": "Kueue", **beside}))
        seen.append(each)
    return seen


@pytest.mark.parametrize(
    ("by", "beside", "outcome", "said"),
    [
        ("admission", HELD, Outcome.PASS, "by placement: 0 of 2 bound for 10 s"),
        ("admission", {**HELD, "bound": 1}, Outcome.PASS, "by admission only: 1 of 2 bound"),
        ("admission", {**HELD, "all": False}, Outcome.FAIL, "not 2 of 2 once others"),
        ("placement", HELD, Outcome.PASS, "by placement: 0 of 2 bound for 10 s"),
        ("placement", {**HELD, "bound": 1}, Outcome.FAIL, "1 of 2 bound beside"),
        ("placement", {**HELD, "bound": 2}, Outcome.FAIL, "2 of 2 bound beside"),
        ("placement", {**HELD, "bound": 1, "all": False}, Outcome.FAIL, "1 of 2 bound beside"),
        ("placement", {"bound": 0, "all": True}, Outcome.UNKNOWN, ""),
        ("placement", {"case": "crowd", "bound": 0, "all": False}, Outcome.ENVIRONMENT_ERROR, ""),
        ("placement", {}, Outcome.UNKNOWN, ""),
        ("admission", {}, Outcome.UNKNOWN, ""),
    ],
)
def test_the_figure_says_what_was_shown(by: str, beside: dict[str, Any], outcome: Outcome, said: str) -> None:
    verdict = judge(GANG, record(by, **beside))
    assert verdict.outcome is outcome
    assert said in verdict.figure
    assert outcome is not Outcome.PASS or verdict.figure.endswith("; besides, Volcano: not tried")


def test_a_record_of_before_the_case_is_judged_by_its_own_cases() -> None:
    assert judge(GANG, recorded(GANG)).outcome is Outcome.PASS
    assert "placement" not in judge(GANG, recorded(GANG)).figure
