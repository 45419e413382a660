"""What the autoscaler read and did."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown
from plimsoll.kubernetes.quantities import number

STEPS = ("before", "high", "low")
_SEE = "see its conditions, and what serves custom metrics"


def judge(record: Sequence[Observation]) -> Verdict:
    """One, two, one, by the value that was drawn; a twin that never moves."""
    asked, drawn = events(record, "asked"), events(record, "drawn")
    steps = {each["step"]: each for each in events(record, "replicas")}
    if not asked:
        return unknown("no autoscaler was tried")
    if "started" not in steps or steps["started"]["ready"] != 1:
        return environment_error("no pod with an accelerator started", f"free two of {asked[0]['resource']}")
    if any(pod["accelerators"] in ("", "0") for each in steps.values() for pod in each["pods"]):
        return unknown("a pod held no accelerator")
    read = {each["step"]: each for each in events(record, "read")}
    low = read.get("before")
    if low is None or not low["values"]:
        conditions = "; ".join(low["conditions"])[:300] if low else ""
        return failed("", "the autoscaler read no value of the pods' metric", conditions or _SEE)
    if problem := _first(low, steps):
        return problem
    if not drawn or drawn[0]["value"] is None or "high" not in read or set(STEPS) - steps.keys():
        return unknown("not every step was tried")
    return _moved(drawn[0]["value"], read["high"]["values"], steps, asked[0])


def _first(low: dict[str, Any], steps: dict[str, dict[str, Any]]) -> Verdict | None:
    if any(number(value) != 1 for value in low["values"]):
        return failed(f"{low['values'][0]} instead of 1", "the autoscaler read another value", _SEE)
    before = steps.get("before")
    if before and (before["most"], before["twin"]) != (1, 1):
        return failed(
            f"{before['most']} pods, {before['twin']} of the twin",
            "it grew before there was a reason to: something else than the metric moves it",
            "see what changes the deployment's replicas",
        )
    return None


def _moved(value: int, values: Sequence[str], steps: dict[str, dict[str, Any]], asked: dict[str, Any]) -> Verdict:
    # A second pod serves one: what two of them have on the average tells the value too.
    if not {number(each) for each in values} & {Fraction(value), Fraction(value + 1, 2)}:
        return failed(f"{', '.join(values)} instead of {value}", "the autoscaler read another value", _SEE)
    counts = [steps[step]["ready"] for step in STEPS]
    figure = " → ".join(map(str, counts))
    if counts[1] != 2:
        return failed(
            figure, "the autoscaler read the value and did not scale up", "see its conditions, and free accelerators"
        )
    if max(steps[step]["twin"] for step in STEPS) != 1:
        return failed(
            f"{figure}; twin {steps['high']['twin']}",
            "a twin whose metric stayed low grew too: something else than the metric moves it",
            "see what changes the deployments' replicas",
        )
    if counts[2] != 1:
        return failed(figure, "the autoscaler did not scale down when the value fell", "see its conditions")
    return passed(f"{figure} pods with {asked['resource']}, by {value} that was drawn in the pod; a twin stayed at 1")
