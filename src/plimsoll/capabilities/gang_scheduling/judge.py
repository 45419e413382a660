"""The verdict from the cases of each gang scheduler."""

from __future__ import annotations

from plimsoll.capabilities.gang_scheduling.records import Case, NodeRoom, SchedulerTried
from plimsoll.capabilities.records import Recorded, required
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown


def judge(record: Recorded) -> Verdict:
    """One scheduler that passes every case is enough; else the verdict of the first, which says what was missing."""
    names = [each.name for each in record.all(SchedulerTried)]
    if not names:
        room = record.first(NodeRoom)
        return environment_error(
            f"the node with the most room has {room.free if room else 0} thousandths of a processor free",
            "free at least a fifth of a processor on a node",
        )
    verdicts = [
        _of_scheduler(name, {each.case: each for each in record.all(Case) if each.scheduler == name}) for name in names
    ]
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_scheduler(name: str, cases: dict[str, Case]) -> Verdict:
    fits = cases.get("fits")
    if fits is None:
        return unknown(f"{name}: no case was tested")
    if not _whole(fits):
        # A scheduler that starts nothing at all also starts no part of a gang.
        return failed(
            f"{name}: {fits.bound} of 2 started", f"{name} did not start a gang that fits", "see the pods in the record"
        )
    if "filler" in cases:
        return environment_error(f"{name}: the filler did not start", "something else took the node's room meanwhile")
    waits, small, control, released = (cases.get(case) for case in ("waits", "small", "control", "released"))
    if not (waits and small and control and released):
        return unknown(f"{name}: not every case was tested")
    # A scheduler that binds a part of a gang after a while does so while the control runs.
    if part := max(waits.bound, control.late):
        return failed(
            f"{name}: {part} of 2 bound",
            f"{name} started a part of a gang",
            "configure it for gangs (all or nothing)",
        )
    if not _whole(small):
        return failed(
            f"{name}: {small.bound} of 2 of a gang that fits beside the filler",
            f"{name} held back a gang that fits: something other than capacity decides",
            "see what else holds gangs back: a quota, a suspended or stopped queue, a policy",
        )
    if control.bound != 1:
        return unknown(
            f"{name}: the control failed: {control.bound} of 2 pods without a gang were bound, where one fits",
            "something else limits or frees the node's room; try again on a quiet node",
        )
    if not _whole(released):
        return failed(
            f"{name}: {released.bound} of 2 after the release",
            f"{name} did not start the gang when it had room",
            "see its logs",
        )
    seconds = required(waits.seconds, "seconds")
    if not required(waits.reason, "reason"):
        return unknown(f"{name}: it reported no reason for the gang's waiting, so that something else may have held it")
    return passed(
        f"{name}: 0 of 2 bound for {seconds:.0f} s, 2 of 2 of a smaller one meanwhile, "
        "1 of 2 without a gang, 2 of 2 after the release"
    )


def _whole(case: Case) -> bool:
    return required(case.all, "all")
