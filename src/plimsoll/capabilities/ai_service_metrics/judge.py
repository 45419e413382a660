"""What Prometheus had in the end."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

WAYS = ("servicemonitor", "podmonitor", "annotation")
"""The ways of declaring that are tried, as the workloads' names."""
UNDECLARED = "undeclared"


def judge(record: Sequence[Observation]) -> Verdict:
    """What was declared with the value and the label that were drawn where it is served, and nothing else."""
    served = {each["who"]: each["found"] for each in events(record, "served")}
    collected = events(record, "collected")
    if silent := [name for name in (*WAYS, UNDECLARED) if served and not served.get(name)]:
        return environment_error(f"the workload {silent[0]} did not start", "see the pods' events in the record")
    if not served or not collected:
        return unknown("Prometheus was not asked to the end")
    found = collected[0]["found"]
    if any(each["who"] not in WAYS for each in found):
        return failed(
            f"{len(found)} series",
            "an undeclared workload was collected too, so that declaring shows nothing",
            "see its configuration",
        )
    if not found:
        return failed("0 series", "no declared workload was collected", "see Prometheus' targets and its selectors")
    for each in found:
        (truth,) = served[each["who"]]
        if (each["value"], each["token"]) != (truth["value"], truth["token"]):
            return failed(
                f"{each['value']:.0f} instead of {truth['value']:.0f}",
                "the collected value or label is another than what is served",
                "see what stands between",
            )
    if problem := _followed(record, {each["who"] for each in found}):
        return problem
    ways = [name for name in WAYS if any(each["who"] == name for each in found)]
    seconds = next((each["seconds"] for each in events(record, "came") if "Prometheus" in each["what"]), 0)
    values = ", ".join(f"{each['value']:.0f}" for each in found)
    return passed(
        f"collected by {', '.join(ways)} after {seconds:.0f} s: {values} as served, and others when they changed; "
        "the undeclared twin not"
    )


def _followed(record: Sequence[Observation], ways: set[str]) -> Verdict | None:
    """What was collected once and never again tells of no service."""
    redrawn, followed = events(record, "redrawn"), events(record, "followed")
    if not redrawn or not followed or set(redrawn[0]["values"]) != ways or None in redrawn[0]["values"].values():
        return unknown("not every workload changed its value")
    last = {each["who"]: each["value"] for each in followed[0]["found"]}
    for way, value in redrawn[0]["values"].items():
        if last.get(way) != value:
            was = "nothing" if way not in last else f"{last[way]:.0f}"
            return failed(
                f"{was} instead of {value:.0f} ({way})",
                "the collected value does not follow what is served",
                "see the interval at which it is collected, and what stands between",
            )
    return None
