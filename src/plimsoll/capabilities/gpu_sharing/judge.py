"""The verdict from the pods that share a device."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.gpu_sharing.records import SharingHolder, SharingMode
from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown


def judge(record: Recorded) -> Verdict:
    """One mode that passes every case is enough; else the verdict of the first."""
    verdicts = [
        _of_mode(mode.name, [each for each in record.all(SharingHolder) if each.mode == mode.mode])
        for mode in record.all(SharingMode)
    ]
    if not verdicts:
        return unknown("no mode of sharing was tested")
    good = [each.figure for each in verdicts if each.outcome is Outcome.PASS]
    return passed("; ".join(good)) if good else verdicts[0]


def _of_mode(name: str, holders: Sequence[SharingHolder]) -> Verdict:
    cases: dict[str, list[SharingHolder]] = {"holds": [], "waits": [], "released": []}
    for each in holders:
        cases[each.case].append(each)
    holds, waits, released = cases["holds"], cases["waits"], cases["released"]
    if len(holds) < 2:
        reason = waits[0].unscheduled if waits else ""
        if reason and not holds:
            return environment_error(f"{name}: no place is free: {reason[:200]}", "free one")
        return failed(f"{name}: {len(holds)} pod", f"{name}: a second pod did not get a part", "see the driver")
    if any("special" not in device.kind for each in holds for device in each.devices):
        return failed(f"{name}: a plain file", f"{name}: the container has a file that is no device", "see the driver")
    most = max(_together(each, holds) for each in holds)
    if most < 2:
        return failed(
            f"{name}: 1 pod a device", f"{name}: no two pods hold the same device", "see the driver's settings"
        )
    if not waits:
        return failed(f"{name}: {len(holds)} pods and no end", f"{name}: sharing has no limit", "set a limit")
    if waits[0].devices or not waits[0].unscheduled:
        return unknown(f"{name}: no scheduler reports why the pod past the limit waits")
    if not released or not released[0].devices:
        return failed(
            f"{name}: not given back", f"{name}: no waiting pod got a place that was free again", "see the driver"
        )
    return passed(
        f"{name}: {most} pods on one device, {len(holds)} in all; the next waited, and ran in the place of one"
    )


def _together(one: SharingHolder, holders: Sequence[SharingHolder]) -> int:
    """How many pods on the same node hold a device of this one's."""
    own = {device.numbers for device in one.devices}
    return sum(other.node == one.node and bool(own & {device.numbers for device in other.devices}) for other in holders)
