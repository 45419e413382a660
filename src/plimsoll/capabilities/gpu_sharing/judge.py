"""Who held what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """One mode that does all of it is enough; else the first one's verdict."""
    verdicts = [
        _of_mode(mode["name"], [each for each in events(record, "holder") if each["mode"] == mode["mode"]])
        for mode in events(record, "mode")
    ]
    if not verdicts:
        return unknown("no mode of sharing was tried")
    good = [each.figure for each in verdicts if each.outcome is Outcome.PASS]
    return passed("; ".join(good)) if good else verdicts[0]


def _of_mode(name: str, holders: list[dict[str, Any]]) -> Verdict:
    cases: dict[str, list[dict[str, Any]]] = {"holds": [], "waits": [], "released": []}
    for each in holders:
        cases[each["case"]].append(each)
    if len(cases["holds"]) < 2:
        reason = cases["waits"][0]["unscheduled"] if cases["waits"] else ""
        if reason and not cases["holds"]:
            return environment_error(f"{name}: no place is free: {reason[:200]}", "free one")
        return failed(
            f"{name}: {len(cases['holds'])} pod", f"{name}: a second pod did not get a part", "see the driver"
        )
    if any("special" not in device["kind"] for each in cases["holds"] for device in each["devices"]):
        return failed(f"{name}: a plain file", f"{name}: what was given is no device", "see the driver")
    most = max(_together(each, cases["holds"]) for each in cases["holds"])
    if most < 2:
        return failed(
            f"{name}: 1 pod a device", f"{name}: no two pods hold the same device", "see the driver's settings"
        )
    if not cases["waits"]:
        return failed(
            f"{name}: {len(cases['holds'])} pods and no end", f"{name}: there is no limit to sharing", "set a limit"
        )
    waits = cases["waits"][0]
    if waits["devices"] or not waits["unscheduled"]:
        return unknown(f"{name}: the pod past the limit waits for a reason that no scheduler gives")
    if not cases["released"] or not cases["released"][0]["devices"]:
        return failed(
            f"{name}: not given back", f"{name}: a place that was free again was given to nobody", "see the driver"
        )
    return passed(
        f"{name}: {most} pods on one device, {len(cases['holds'])} in all; the next waited, and ran in the place of one"
    )


def _together(one: dict[str, Any], holders: Sequence[dict[str, Any]]) -> int:
    """How many pods on the same node hold a device of this one's."""
    own = {_identity(device) for device in one["devices"]}
    return sum(
        other["node"] == one["node"] and bool(own & {_identity(device) for device in other["devices"]})
        for other in holders
    )


def _identity(device: dict[str, Any]) -> tuple[int, int]:
    return device["major"], device["minor"]
