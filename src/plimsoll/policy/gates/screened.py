"""The rows that versions learnt from went through a screen, and within its bounds."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.application.scalars import bound_holds
from plimsoll.policy.facts import Facts, ModelFacts, ScreenFacts
from plimsoll.policy.findings import Judged, Verdict

GATE = "screened"
_REMEDY = "add `screens` with bounds to the file, and run: see docs/screens.md"


def screened(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each version."""
    if GATE not in policies.chain.require:
        return
    for model in facts.models:
        if not model.screens:
            yield _judged(model, "unknown", _why_not(model))
        for each in model.screens or ():
            yield _judged(model, *_of(each))


def _judged(model: ModelFacts, verdict: Verdict, reason: str) -> Judged:
    passed = verdict == "passed"
    where, remedy = ("", "") if passed else (model.place, _REMEDY)
    return Judged(gate=GATE, about=model.reference, verdict=verdict, reason=reason, remedy=remedy, where=where)


def _why_not(model: ModelFacts) -> str:
    if model.screens_problem:
        return model.screens_problem
    if model.origin is not None:
        return "it was brought: nobody here has seen what it learnt from"
    return "nobody has screened what it learnt from"


def _of(screen: ScreenFacts) -> tuple[Verdict, str]:
    """What one screen comes to. What was not measured is not known to hold."""
    if screen.note:
        return "unknown", f"screen {screen.screen}: {screen.note}"
    if not screen.accept:
        return "unknown", f"screen {screen.screen} has no bounds, so that nothing was held against any"
    unknown = []
    for name, bound in screen.accept.items():
        value = screen.figures.get(name)
        if value is not None and not bound_holds(bound, value):
            return "broken", f"screen {screen.screen}: {name} is {value:.6g}, expected {bound}"
        if value is None and name not in screen.first:
            unknown.append(f"{name} was not measured: {screen.unmeasured.get(name, 'nobody says why')}")
    if unknown:
        return "unknown", f"screen {screen.screen}: {'; '.join(unknown)}"
    alone = [name for name in screen.first if name in screen.accept]
    first = f", {', '.join(alone)} had no version before to compare with" if alone else ""
    return "passed", f"screen {screen.screen}: {len(screen.accept)} bounds over {screen.rows} rows{first}"
