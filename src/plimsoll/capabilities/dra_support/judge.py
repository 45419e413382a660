"""The verdict from the devices that claims were given."""

from __future__ import annotations

from msgspec import UnsetType

from plimsoll.capabilities.dra_support.records import ClaimAsked, ClaimHolder
from plimsoll.capabilities.records import Recorded, required
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

CASES = ("positive", "control", "negative", "released", "still")


def reported_ids(holder: ClaimHolder) -> list[str]:
    """The ids that the holder's devices report themselves; empty when they report none."""
    return [line.removeprefix("is ") for line in holder.printed if line.startswith("is ")]


def judge(record: Recorded) -> Verdict:
    """The claim has to get the device that it names, one claim at a time; a claim that no device fits gets none."""
    asked = record.first(ClaimAsked)
    cases = {each.case: each for each in record.all(ClaimHolder)}
    if asked is None or set(cases) != set(CASES):
        return unknown("not every claim was made")
    what = f"{asked.attribute} = {asked.value}"
    positive, released = cases["positive"], cases["released"]
    if not positive.devices:
        if positive.unscheduled:
            return environment_error(f"others hold the device with {what}: {positive.unscheduled[:200]}", "free it")
        return failed("0 devices", f"a claim by {what} was not carried out", "see the driver's logs")
    for each in (positive, released):
        if problem := _another_device(each, asked, what):
            return problem
    if problem := _excluded(cases):
        return problem
    kinds = [device.kind for each in (positive, released) for device in each.devices]
    if any("special" not in kind for kind in kinds):
        return failed(kinds[0], "the container has a file that is no device", "see the driver's CDI files")
    told = "; it says so itself" if asked.value in reported_ids(positive) else ""
    device = positive.allocated[0].device
    return passed(f"{device} by {what}{told}; the same claim waited and had it next; an impossible one had none")


def _another_device(holder: ClaimHolder, asked: ClaimAsked, what: str) -> Verdict | None:
    allocated = holder.allocated
    if holder.devices and not (allocated and all(one in asked.having for one in allocated)):
        names = ", ".join(f"{each.device} of {each.driver} in {each.pool}" for each in allocated) or "no device"
        return failed(names, f"the claim by {what} was given another device", "see the scheduler")
    others = reported_ids(holder)
    if others and asked.told and asked.value not in others:
        return failed(
            f"the device reports the id {others[0]}",
            f"the claim by {what} was allocated one device, and the container was given another",
            "see the driver and its CDI files",
        )
    return None


def _excluded(cases: dict[str, ClaimHolder]) -> Verdict | None:
    """The claims that must not get a device, and the control that does get it when it is free."""
    control, negative, still = cases["control"], cases["negative"], cases["still"]
    if _ever(negative) or _ever(still) or negative.devices:
        return failed(
            "a device for an impossible claim", "a claim that no device fits was given one", "see the scheduler"
        )
    if _ever(control) or control.devices:
        return failed(
            "2 claims, 1 device", "a device that was held was given to another claim too", "see the scheduler"
        )
    if not (control.unscheduled and negative.unscheduled):
        return unknown("no scheduler reported why the claims waited, so that something else may have held them")
    if not cases["released"].devices:
        return failed(
            "0 after the release", "the next claim was not given the device when it was free", "see the driver"
        )
    return None


def _ever(holder: ClaimHolder) -> int:
    """At how many looks the claim had a device, for a claim that must wait."""
    return required(None if isinstance(holder.ever, UnsetType) else holder.ever, "ever")
