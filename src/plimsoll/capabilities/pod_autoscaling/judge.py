"""The verdict from what the autoscaler read and how it scaled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from plimsoll.capabilities.pod_autoscaling.records import MetricRead, Replicas, ScalingAsked, ValueDrawn
from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown
from plimsoll.kubernetes.quantities import number

STEPS = ("before", "high", "low")
_SEE = "see its conditions, and what serves custom metrics"


def judge(record: Recorded) -> Verdict:
    """One pod, two, and one again, by the drawn value; a twin that never moves."""
    asked, drawn = record.first(ScalingAsked), record.first(ValueDrawn)
    steps = {each.step: each for each in record.all(Replicas)}
    if asked is None:
        return unknown("no autoscaler was tested")
    if "started" not in steps or steps["started"].ready != 1:
        return environment_error("no pod with an accelerator started", f"free two of {asked.resource}")
    if any(pod.accelerators in ("", "0") for each in steps.values() for pod in each.pods):
        return unknown("a pod held no accelerator")
    read = {each.step: each for each in record.all(MetricRead)}
    low = read.get("before")
    if low is None or not low.values:
        conditions = "; ".join(low.conditions)[:300] if low else ""
        return failed("", "the autoscaler read no value of the pods' metric", conditions or _SEE)
    if problem := _moved_before(low.values, steps):
        return problem
    if drawn is None or drawn.value is None or "high" not in read or set(STEPS) - steps.keys():
        return unknown("not every step was made")
    return _scaled(drawn.value, read["high"].values, steps, asked)


def _moved_before(values: Sequence[str], steps: dict[str, Replicas]) -> Verdict | None:
    if any(number(value) != 1 for value in values):
        return failed(f"{values[0]} instead of 1", "the autoscaler read another value", _SEE)
    before = steps.get("before")
    if before and (before.most, before.twin) != (1, 1):
        return failed(
            f"{before.most} pods, {before.twin} of the twin",
            "the deployment grew before there was a reason to: something other than the metric scales it",
            "see what changes the deployment's replicas",
        )
    return None


def _scaled(value: int, values: Sequence[str], steps: dict[str, Replicas], asked: ScalingAsked) -> Verdict:
    # The second pod serves 1: the average of both pods tells the value too.
    if not {number(each) for each in values} & {Fraction(value), Fraction(value + 1, 2)}:
        return failed(f"{', '.join(values)} instead of {value}", "the autoscaler read another value", _SEE)
    counts = [steps[step].ready for step in STEPS]
    figure = " → ".join(map(str, counts))
    if counts[1] != 2:
        return failed(
            figure, "the autoscaler read the value and did not scale up", "see its conditions, and free accelerators"
        )
    if max(steps[step].twin for step in STEPS) != 1:
        return failed(
            f"{figure}; twin {steps['high'].twin}",
            "a twin whose metric stayed low grew too: something other than the metric scales it",
            "see what changes the deployments' replicas",
        )
    if counts[2] != 1:
        return failed(figure, "the autoscaler did not scale down when the value fell", "see its conditions")
    return passed(f"{figure} pods with {asked.resource}, by {value} that was drawn in the pod; a twin stayed at 1")
