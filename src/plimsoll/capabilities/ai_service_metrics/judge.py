"""The verdict from what Prometheus collected."""

from __future__ import annotations

from plimsoll.capabilities.ai_service_metrics.records import Collected, Followed, MetricsServed, Redrawn, Sample
from plimsoll.capabilities.records import Came, Recorded, required
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

WAYS = ("servicemonitor", "podmonitor", "annotation")
"""The ways of declaring metrics, which are also the names of the workloads."""
UNDECLARED = "undeclared"


def judge(record: Recorded) -> Verdict:
    """Prometheus has to have what was declared, with the value and the label that were drawn in it, and no more."""
    served = {each.who: each.found for each in record.all(MetricsServed)}
    collected = record.first(Collected)
    if silent := [name for name in (*WAYS, UNDECLARED) if served and not served.get(name)]:
        return environment_error(f"the workload {silent[0]} did not start", "see the pods' events in the record")
    if not served or collected is None:
        return unknown("the questions to Prometheus did not end")
    found = collected.found
    if any(each.who not in WAYS for each in found):
        return failed(
            f"{len(found)} series",
            "Prometheus collected an undeclared workload too, so that declaring shows nothing",
            "see its configuration",
        )
    if not found:
        return failed("0 series", "no declared workload was collected", "see Prometheus' targets and its selectors")
    for each in found:
        (truth,) = served[each.who]
        if (each.value, each.token) != (truth.value, truth.token):
            return failed(
                f"{_rounded(each)} instead of {_rounded(truth)}",
                "the collected value or label differs from the served one",
                "see which proxies are between the workload and Prometheus",
            )
    if problem := _followed(record, {each.who for each in found}):
        return problem
    ways = [name for name in WAYS if any(each.who == name for each in found)]
    seconds = next((each.seconds for each in record.all(Came) if "Prometheus" in each.what), 0)
    values = ", ".join(map(_rounded, found))
    return passed(
        f"collected by {', '.join(ways)} after {seconds:.0f} s: {values} as served, and others when they changed; "
        "the undeclared twin not"
    )


def _rounded(sample: Sample) -> str:
    return f"{required(sample.value, 'value'):.0f}"


def _followed(record: Recorded, ways: set[str]) -> Verdict | None:
    """A value that was collected only once is no measurement of a service."""
    redrawn, followed = record.first(Redrawn), record.first(Followed)
    if redrawn is None or followed is None or set(redrawn.values) != ways or None in redrawn.values.values():
        return unknown("not every workload changed its value")
    last = {each.who: each for each in followed.found}
    for way, drawn in redrawn.values.items():
        value = required(drawn, way)
        if way not in last or last[way].value != value:
            was = _rounded(last[way]) if way in last else "nothing"
            return failed(
                f"{was} instead of {value:.0f} ({way})",
                "the collected value does not follow the served one",
                "see the scrape interval, and the proxies between the workload and Prometheus",
            )
    return None
