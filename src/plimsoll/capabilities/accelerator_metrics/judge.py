"""What the scrapes show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, failed, passed, unknown

_RISE, _STILL = 0.3, 0.2
_EXPORTER = "see the exporter of the accelerators' driver"


def judge(record: Sequence[Observation]) -> Verdict:
    """One series a device, in range, and a rise on the loaded device alone."""
    expected = events(record, "expected")
    if not expected:
        return unknown("nothing was scraped")
    wanted = expected[0]
    scrapes = {each["case"]: each for each in events(record, "scraped")}
    if "idle" not in scrapes:
        return failed(
            f"0 of {wanted['devices']} devices",
            f"no pod on {wanted['node']} serves metrics of {wanted['hardware']}",
            "install its exporter",
        )
    for scrape in scrapes.values():
        if problem := _malformed(scrape, wanted):
            return problem
    if not wanted["loadable"]:
        return unknown(
            f"{wanted['hardware']}: every device has its series, but no load could be put on one to see them follow it",
            "show by hand that utilization follows a load",
        )
    loaded = events(record, "loaded")
    if not loaded or "loaded" not in scrapes:
        return unknown("the load did not start")
    return _risen(scrapes["idle"], scrapes["loaded"], set(loaded[0]["devices"]), wanted)


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


def _risen(idle: dict[str, Any], loaded: dict[str, Any], held: set[str], wanted: dict[str, Any]) -> Verdict:
    before, after = _utilization(idle), _utilization(loaded)
    if not held & set(after):
        return unknown(f"the loaded device {sorted(held)} is none of those that are measured")
    full = wanted["full"]
    rises = {device: (after[device] - before.get(device, 0)) / full for device in after}
    least = min(rises[device] for device in held & set(after))
    others = max((rise for device, rise in rises.items() if device not in held), default=0.0)
    figure = f"{len(after)} devices; +{least:.0%} on the loaded one, {others:+.0%} at most on another"
    if least < _RISE:
        return failed(figure, "the metrics do not follow the load: they may not be measured at all", _EXPORTER)
    if others > _STILL:
        return failed(figure, "another device's utilization rose too", _EXPORTER)
    return passed(figure)


def _utilization(scrape: dict[str, Any]) -> dict[str, float]:
    return {each["device"]: each["value"] for each in scrape["series"] if each["utilization"]}
