"""What the claims were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

CASES = ("positive", "control", "negative", "released", "still")


def said(holder: Mapping[str, Any]) -> list[str]:
    """Who the holder's devices say that they are; empty where they say nothing."""
    return [line.removeprefix("is ") for line in holder["printed"] if line.startswith("is ")]


def judge(record: Sequence[Observation]) -> Verdict:
    """The device that was named, once at a time; never one for what no device has."""
    asked = events(record, "asked")
    cases = {each["case"]: each for each in events(record, "holder")}
    if not asked or set(cases) != set(CASES):
        return unknown("not every claim was tried")
    wanted = asked[0]
    what = f"{wanted['attribute']} = {wanted['value']}"
    positive, control, released = cases["positive"], cases["control"], cases["released"]
    if not positive["devices"]:
        if positive["unscheduled"]:
            return environment_error(
                f"the device with {what} is held by others: {positive['unscheduled'][:200]}", "free it"
            )
        return failed("0 devices", f"a claim by {what} was not carried out", "see the driver's logs")
    for each in (positive, released):
        if each["devices"] and not (each["allocated"] and all(one in wanted["having"] for one in each["allocated"])):
            return failed(f"{each['allocated']}", f"the claim by {what} was given another device", "see the scheduler")
        if (others := said(each)) and wanted.get("told") and wanted["value"] not in others:
            return failed(
                f"the device says that it is {others[0]}",
                f"the claim by {what} was allocated one device, and the container was given another",
                "see the driver and its CDI files",
            )
    if cases["negative"]["ever"] or cases["still"]["ever"] or cases["negative"]["devices"]:
        return failed(
            "a device for an impossible claim", "a claim that no device fits was given one", "see the scheduler"
        )
    if control["ever"] or control["devices"]:
        return failed(
            "2 claims, 1 device", "a device that was held was given to another claim too", "see the scheduler"
        )
    if not (control["unscheduled"] and cases["negative"]["unscheduled"]):
        return unknown("no scheduler said why the claims waited, so that something else may have held them")
    if not released["devices"]:
        return failed("0 after the release", "the device was not given to the next when it was free", "see the driver")
    kinds = [device["kind"] for each in (positive, released) for device in each["devices"]]
    if any("special" not in kind for kind in kinds):
        return failed(f"{kinds[0]}", "what was given is no device", "see the driver's CDI files")
    device = positive["allocated"][0]["device"]
    told = "; it says so itself" if wanted["value"] in said(positive) else ""
    return passed(f"{device} by {what}{told}; the same claim waited and had it next; an impossible one had none")
