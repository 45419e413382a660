"""What the parts were."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

CASES = ("part-1", "part-2", "whole", "released")


def judge(record: Sequence[Observation]) -> Verdict:
    """Two different devices of one body, which excludes the whole of it."""
    asked = events(record, "asked")
    cases = {each["case"]: each for each in events(record, "holder")}
    if not asked or set(cases) != set(CASES):
        return unknown("not every claim was tried")
    parts = [cases["part-1"], cases["part-2"]]
    name = asked[0]["part"]
    for each in parts:
        if not each["devices"]:
            return environment_error(f"a part by {name} was not given: {each['unscheduled'][:200]}", "free a device")
    one, two = ({(device["major"], device["minor"]) for device in each["devices"]} for each in parts)
    contents = [{device["digest"] for device in each["devices"] if device["content"]} for each in parts]
    if one & two or contents[0] & contents[1]:
        return failed("1 device for 2", "two parts lead to the same device", "see the driver")
    if len({each["node"] for each in parts}) != 1:
        return unknown("the two parts were on different nodes, which shows nothing")
    if cases["whole"]["devices"] or cases["whole"]["allocated"]:
        return failed(
            "parts and the whole", "the whole device was given out while its parts were held", "see the driver"
        )
    if not cases["whole"]["unscheduled"]:
        return unknown("no scheduler said why the whole device waited")
    if not cases["released"]["devices"]:
        return failed("not given back", "the whole device was not given when its parts were free", "see the driver")
    given = ", ".join(each["allocated"][0]["device"] for each in parts)
    return passed(f"{given} by {name}, each its own; the whole device waited for both")
