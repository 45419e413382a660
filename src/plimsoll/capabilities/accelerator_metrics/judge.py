"""The verdict from scrapes of the exporters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plimsoll.capabilities.accelerator_metrics.records import Loaded, MetricsExpected, Scraped
from plimsoll.capabilities.records import DidNotCome, MalformedRecord, Recorded
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_RISE, _STILL = 0.3, 0.2
_LEAST_LOOKS = 4
_EXPORTER = "see the exporter of the accelerators' driver"
CASES = ("idle", "loaded", "after")
HELD = "a device to be held"
"""The wait for the pod with the load, as it is recorded."""
Scrapes = dict[str, list[Scraped]]


def judge(record: Recorded) -> Verdict:
    """One series per device, in range, that follows the device's load. One such endpoint is enough."""
    expected = record.first(MetricsExpected)
    if expected is None:
        return unknown("nothing was scraped")
    scrapes: dict[str, Scrapes] = {}
    for each in record.all(Scraped):
        scrapes.setdefault(each.endpoint, {}).setdefault(each.case, []).append(each)
    if not scrapes and any(each.what == HELD for each in record.all(DidNotCome)):
        return _no_load(expected)
    if not scrapes:
        return failed(
            f"0 of {expected.devices} devices",
            f"no pod on {expected.node} serves metrics of {expected.hardware}",
            "install its exporter",
        )
    loaded = record.first(Loaded)
    verdicts = [_of_endpoint(loaded, found, expected) for found in scrapes.values()]
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_endpoint(loaded: Loaded | None, scrapes: Scrapes, expected: MetricsExpected) -> Verdict:
    for scrape in (each for case in scrapes.values() for each in case):
        if problem := _malformed(scrape, expected):
            return problem
    if not expected.loadable:
        return unknown(
            f"{expected.hardware}: every device has its series, but the probe knows no load for this hardware to see "
            "the series follow it",
            "show by hand that utilization follows a load",
        )
    if loaded is None:
        return _no_load(expected)
    if any(len(scrapes.get(case, [])) < _LEAST_LOOKS for case in CASES) or not loaded.did:
        return unknown("not every scrape was made, or the load did not run")
    idle, under_load, after = ([_utilization(each) for each in scrapes[case]] for case in CASES)
    return _follows(idle, under_load, after, set(loaded.devices), expected.full)


def _no_load(expected: MetricsExpected) -> Verdict:
    """Exporters are scraped only beside a pod with a device, so that without one nothing is known of them."""
    return environment_error(
        f"no pod with one of {expected.resource} started on {expected.node}", "free an accelerator there"
    )


def _malformed(scrape: Scraped, expected: MetricsExpected) -> Verdict | None:
    for word, is_utilization in (("utilization", True), ("memory", False)):
        series = [each for each in scrape.series if each.utilization == is_utilization]
        devices = {each.device for each in series if each.device}
        if len(devices) < expected.devices:
            figure = f"{word}: {len(devices)} of {expected.devices} devices"
            return failed(figure, f"not every accelerator of {expected.node} has its own series of {word}", _EXPORTER)
        highest = expected.full if is_utilization else float("inf")
        for each in series:
            if each.value is None or not 0 <= each.value <= highest:
                return failed(f"{each.name} is {each.value}", f"the value of {word} is out of range", _EXPORTER)
    return None


def _follows(
    idle: Sequence[dict[str, float]],
    loaded: Sequence[dict[str, float]],
    after: Sequence[dict[str, float]],
    held: set[str],
    full: float,
) -> Verdict:
    """An idle device is still, and its utilization then is far below that under load."""
    mine = held & set(loaded[0])
    if not mine:
        return unknown(f"no series is of the loaded device {sorted(held)}")
    one = min(mine)
    # Other work on the machine may starve the load for a moment: the best of the looks counts.
    best = max(loaded, key=lambda scrape: scrape.get(one, 0))
    before = {device: max(scrape.get(device, 0) for scrape in idle) for device in best}
    later = {device: max(scrape.get(device, 0) for scrape in after) for device in best}
    rises = {device: (best[device] - before[device]) / full for device in best}
    rise = min(rises[device] for device in mine)
    fall = min((best[device] - later[device]) / full for device in mine)
    others = max((each for device, each in rises.items() if device not in held), default=0.0)
    figure = f"{len(best)} devices; {rise:+.0%} on the loaded one, {others:+.0%} at most on another, {-fall:+.0%} after"
    if (restless := max(_range(scrapes, device) / full for scrapes in (idle, after) for device in mine)) > _STILL:
        moved = f"{restless:.0%} up and down on an idle device"
        return failed(moved, "the metrics change by themselves: they may not be measured at all", _EXPORTER)
    if rise < _RISE:
        return failed(figure, "the metrics do not follow the load: they may not be measured at all", _EXPORTER)
    if others > _STILL:
        return failed(figure, "another device's utilization rose too", _EXPORTER)
    if fall < _RISE:
        return failed(figure, "the utilization stays when the load is gone", _EXPORTER)
    return passed(figure)


def _range(scrapes: Iterable[dict[str, float]], device: str) -> float:
    values = [scrape.get(device, 0) for scrape in scrapes]
    return max(values) - min(values)


def _utilization(scrape: Scraped) -> dict[str, float]:
    found = {}
    for each in scrape.series:
        if each.utilization:
            if each.value is None:
                raise MalformedRecord(f"{each.name} has no value")
            found[each.device] = each.value
    return found
