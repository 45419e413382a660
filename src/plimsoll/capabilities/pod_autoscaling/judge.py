"""What the autoscaler read and did."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown
from plimsoll.targets.kubernetes.quantities import number


def judge(record: Sequence[Observation]) -> Verdict:
    """One, two, one, and the value that was read."""
    asked, read, replicas = events(record, "asked"), events(record, "read"), events(record, "replicas")
    if not asked or not read or len(replicas) < 3:
        return unknown("not every step was tried")
    counts = [each["ready"] for each in replicas]
    if counts[0] != 1:
        return environment_error("no pod with an accelerator started", f"free two of {asked[0]['resource']}")
    if any(pod["accelerators"] in ("", "0") for each in replicas for pod in each["pods"]):
        return unknown("a pod held no accelerator")
    value = read[0]["value"]
    if value is None:
        return failed("", "the autoscaler read no value of the pods' metric", "; ".join(read[0]["conditions"])[:300])
    if number(value) != asked[0]["value"]:
        return failed(
            f"{value} instead of {asked[0]['value']}",
            "the autoscaler read another value",
            "see what serves custom metrics",
        )
    figure = " → ".join(map(str, counts))
    if counts[1] != 2:
        return failed(
            figure, "the autoscaler read the value and did not scale up", "see its conditions, and free accelerators"
        )
    if counts[2] != 1:
        return failed(figure, "the autoscaler did not scale down when the value fell", "see its conditions")
    return passed(f"{figure} pods with {asked[0]['resource']}, by the random value {asked[0]['value']}")
