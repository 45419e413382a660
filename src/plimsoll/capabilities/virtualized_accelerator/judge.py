"""The verdict from claims of two parts and of the whole device."""

from __future__ import annotations

from plimsoll.capabilities.records import Recorded
from plimsoll.capabilities.virtualized_accelerator.records import PartHolder, PartsAsked
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

CASES = ("part-1", "part-2", "whole", "released")


def judge(record: Recorded) -> Verdict:
    """Two parts have to be different devices of one body, and exclude the whole device."""
    asked = record.first(PartsAsked)
    cases = {each.case: each for each in record.all(PartHolder)}
    if asked is None or set(cases) != set(CASES):
        return unknown("not every claim was made")
    one, two = cases["part-1"], cases["part-2"]
    name = asked.part
    for each in (one, two):
        if not each.devices:
            return environment_error(f"no part by {name} was allocated: {each.unscheduled[:200]}", "free a device")
    if _numbers(one) & _numbers(two) or _contents(one) & _contents(two):
        return failed("1 device for 2", "two parts lead to the same device", "see the driver")
    if one.node != two.node:
        return unknown("the two parts were on different nodes, which shows nothing")
    whole = cases["whole"]
    if whole.devices or whole.allocated:
        return failed(
            "parts and the whole", "the whole device was allocated while its parts were held", "see the driver"
        )
    if not whole.unscheduled:
        return unknown("no scheduler reported why the whole device waited")
    if not cases["released"].devices:
        return failed("not given back", "the whole device was not allocated when its parts were free", "see the driver")
    given = ", ".join(each.allocated[0].device for each in (one, two))
    return passed(f"{given} by {name}, each its own; the whole device waited for both")


def _numbers(holder: PartHolder) -> set[tuple[int, int]]:
    return {device.numbers for device in holder.devices}


def _contents(holder: PartHolder) -> set[str]:
    """Digests of first blocks; a block of zeros distinguishes no device."""
    return {device.digest for device in holder.devices if device.content}
