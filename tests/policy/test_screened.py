from __future__ import annotations

import pytest

from plimsoll.application.policies import SupplyChain
from plimsoll.policy.facts import Facts, ScreenFacts

from .facts import brought, judged, model

CHAIN = SupplyChain(require=("screened",))
PASSED = ScreenFacts(screen="paid", rows=600, figures={"flips": 0.001}, accept={"flips": "< 0.01"})


@pytest.mark.parametrize(
    ("screens", "verdict", "reason"),
    [
        ((PASSED,), "passed", "screen paid: 1 bounds over 600 rows"),
        (None, "unknown", "nobody has screened"),
        ((), "unknown", "nobody has screened"),
        ((ScreenFacts(screen="paid", note="its result is not on this machine"),), "unknown", "not on this machine"),
        ((ScreenFacts(screen="paid", figures={"flips": 0.1}),), "unknown", "has no bounds"),
        ((ScreenFacts(screen="paid", figures={"flips": 0.1}, accept={"flips": "< 0.01"}),), "broken", "flips is 0.1"),
        ((ScreenFacts(screen="paid", figures={"flips": float("nan")}, accept={"flips": "< 1"}),), "broken", "is nan"),
        ((ScreenFacts(screen="paid", accept={"leaked": "<= 0"}),), "unknown", "leaked was not measured"),
        ((ScreenFacts(screen="paid", accept={"shift": "< 1"}, first=("shift",)),), "passed", "no version before"),
    ],
)
def test_a_version_is_screened_when_all_bounds_are_known_to_hold(
    screens: tuple[ScreenFacts, ...] | None, verdict: str, reason: str
) -> None:
    (found,) = judged(CHAIN, Facts(models=(model(screens=screens),)))
    assert found.verdict == verdict
    assert reason in found.reason


def test_a_model_that_was_brought_is_not_known_to_be_screened() -> None:
    own = brought("pypi:acme-model==1#*.onnx", "MIT")
    (found,) = judged(CHAIN, Facts(models=(model(origin=own.origin),)))
    assert (found.verdict, "brought" in found.reason) == ("unknown", True)
