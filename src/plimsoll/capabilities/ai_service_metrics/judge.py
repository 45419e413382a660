"""What Prometheus had in the end."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """The declared series with its value, and it alone."""
    served, collected = events(record, "served"), events(record, "collected")
    if not served or not collected:
        return unknown("Prometheus was not asked to the end")
    value = served[0]["value"]
    found = {each["who"]: float(each["value"]) for each in collected[0]["found"]}
    if "undeclared" in found:
        return failed(
            f"{len(found)} series",
            "an undeclared workload was collected too, so that declaring shows nothing",
            "see its configuration",
        )
    if "declared" not in found:
        return failed("0 series", "a declared workload was not collected", "see Prometheus' targets and its selectors")
    if found["declared"] != value:
        return failed(
            f"{found['declared']:.0f} instead of {value}", "the collected value is another", "see what stands between"
        )
    seconds = next((each["seconds"] for each in events(record, "came") if "Prometheus" in each["what"]), 0)
    return passed(f"the random value {value} collected after {seconds:.0f} s, the undeclared twin not")
