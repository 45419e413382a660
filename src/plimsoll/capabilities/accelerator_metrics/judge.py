"""What the scrapes show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_RISE, _STILL = 0.3, 0.2
_LEAST_LOOKS = 4
_EXPORTER = "see the exporter of the accelerators' driver"
CASES = ("idle", "loaded", "after")
Scrapes = dict[str, list[dict[str, Any]]]


def judge(record: Sequence[Observation]) -> Verdict:
    """One series a device, in range, which follow the load of the device that has it. One such endpoint is enough."""
    expected = events(record, "expected")
    if not expected:
        return unknown("nothing was scraped")
    wanted = expected[0]
    scrapes: dict[str, Scrapes] = {}
    for each in events(record, "scraped"):
        scrapes.setdefault(each["endpoint"], {}).setdefault(each["case"], []).append(each)
    if not scrapes:
        return failed(
            f"0 of {wanted['devices']} devices",
            f"no pod on {wanted['node']} serves metrics of {wanted['hardware']}",
            "install its exporter",
        )
    verdicts = [_of_endpoint(record, found, wanted) for found in scrapes.values()]
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_endpoint(record: Sequence[Observation], scrapes: Scrapes, wanted: dict[str, Any]) -> Verdict:
    for scrape in (each for case in scrapes.values() for each in case):
        if problem := _malformed(scrape, wanted):
            return problem
    if not wanted["loadable"]:
        return unknown(
            f"{wanted['hardware']}: every device has its series, but no load could be put on one to see them follow it",
            "show by hand that utilization follows a load",
        )
    loaded = events(record, "loaded")
    if not loaded:
        return environment_error(
            f"no pod with one of {wanted['resource']} started on {wanted['node']}", "free an accelerator there"
        )
    if any(len(scrapes.get(case, [])) < _LEAST_LOOKS for case in CASES) or not loaded[0]["did"]:
        return unknown("not every scrape was made, or the load did not run")
    return _follows(
        [[_utilization(each) for each in scrapes[case]] for case in CASES], set(loaded[0]["devices"]), wanted
    )


def _malformed(scrape: dict[str, Any], wanted: dict[str, Any]) -> Verdict | None:
    for word, is_utilization in (("utilization", True), ("memory", False)):
        series = [each for each in scrape["series"] if each["utilization"] == is_utilization]
        devices = {each["device"] for each in series if each["device"]}
        if len(devices) < wanted["devices"]:
            figure = f"{word}: {len(devices)} of {wanted['devices']} devices"
            return failed(figure, f"not every accelerator of {wanted['node']} has its own series of {word}", _EXPORTER)
        highest = wanted["full"] if is_utilization else float("inf")
        for each in series:
            if each["value"] is None or not 0 <= each["value"] <= highest:
                return failed(f"{each['name']} is {each['value']}", f"a value of {word} that cannot be", _EXPORTER)
    return None


def _follows(measured: Sequence[list[dict[str, float]]], held: set[str], wanted: dict[str, Any]) -> Verdict:
    """A device that has nothing to do is still, and what is measured on it then is far below what is under load."""
    idle, loaded, after = measured
    mine = held & set(loaded[0])
    if not mine:
        return unknown(f"the loaded device {sorted(held)} is none of those that are measured")
    full = wanted["full"]
    one = min(mine)
    # A machine that is busy otherwise may starve the load for a moment: the best of the looks counts.
    best = max(loaded, key=lambda scrape: scrape.get(one, 0))
    before = {device: max(scrape.get(device, 0) for scrape in idle) for device in best}
    later = {device: max(scrape.get(device, 0) for scrape in after) for device in best}
    rises = {device: (best[device] - before[device]) / full for device in best}
    rise = min(rises[device] for device in mine)
    fall = min((best[device] - later[device]) / full for device in mine)
    others = max((each for device, each in rises.items() if device not in held), default=0.0)
    figure = f"{len(best)} devices; {rise:+.0%} on the loaded one, {others:+.0%} at most on another, {-fall:+.0%} after"
    if (restless := max(_range(scrapes, device) / full for scrapes in (idle, after) for device in mine)) > _STILL:
        moved = f"{restless:.0%} up and down on a device that had nothing to do"
        return failed(moved, "the metrics change by themselves: they may not be measured at all", _EXPORTER)
    if rise < _RISE:
        return failed(figure, "the metrics do not follow the load: they may not be measured at all", _EXPORTER)
    if others > _STILL:
        return failed(figure, "another device's utilization rose too", _EXPORTER)
    if fall < _RISE:
        return failed(figure, "the utilization stays when the load is gone", _EXPORTER)
    return passed(figure)


def _range(scrapes: Sequence[dict[str, float]], device: str) -> float:
    values = [scrape.get(device, 0) for scrape in scrapes]
    return max(values) - min(values)


def _utilization(scrape: dict[str, Any]) -> dict[str, float]:
    return {each["device"]: each["value"] for each in scrape["series"] if each["utilization"]}
