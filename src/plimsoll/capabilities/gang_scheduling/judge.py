"""The verdict from the cases of each gang scheduler."""

from __future__ import annotations

from plimsoll.capabilities.gang_scheduling.records import ADMISSION, Case, NodeRoom, SchedulerTried
from plimsoll.capabilities.records import Recorded, required
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown


def judge(record: Recorded) -> Verdict:
    """One scheduler that passes every case is enough, best by placement; else the first says what was missing."""
    tried = record.all(SchedulerTried)
    if not tried:
        room = record.first(NodeRoom)
        return environment_error(
            f"the node with the most room has {room.free if room else 0} thousandths of a processor free",
            "free at least a fifth of a processor on a node",
        )
    verdicts = [
        _of_scheduler(one, {each.case: each for each in record.all(Case) if each.scheduler == one.name})
        for one in tried
    ]
    good = [number for number, each in enumerate(verdicts) if each.outcome is Outcome.PASS]
    if not good:
        return verdicts[0]
    # The probe stops at the first that passes by placement, so that the last that passes is the best.
    best = good[-1]
    others = [each.figure or each.cause for number, each in enumerate(verdicts) if number != best]
    others += [f"{name}: not tried" for name in tried[-1].others]
    return passed("; besides, ".join([verdicts[best].figure, *others]))


def _of_scheduler(tried: SchedulerTried, cases: dict[str, Case]) -> Verdict:
    verdict = _whole_or_none(tried.name, cases)
    if verdict.outcome is not Outcome.PASS or not tried.by:
        return verdict
    return _beside_others(tried, cases, verdict)


def _beside_others(tried: SchedulerTried, cases: dict[str, Case], verdict: Verdict) -> Verdict:
    """A gang within every quota, on a node whose processors others hold: placement, apart from admission."""
    name = tried.name
    if "crowd" in cases:
        return environment_error(
            f"{name}: a pod that takes the node's room did not start", "something else took the room meanwhile"
        )
    beside = cases.get("beside")
    if beside is None:
        return unknown(f"{name}: no gang was tested beside processors that others hold")
    if not beside.bound and _whole(beside):
        seconds = required(beside.seconds, "seconds")
        return passed(
            f"{verdict.figure}; by placement: 0 of 2 bound for {seconds:.0f} s beside processors that others hold"
        )
    if tried.by == ADMISSION and beside.bound:
        return passed(
            f"{verdict.figure}; by admission only: {beside.bound} of 2 bound where the quota has room and the node none"
        )
    if beside.bound:
        return failed(
            f"{name}: {beside.bound} of 2 bound beside processors that others hold",
            f"{name} counts its own gangs and not the room of the node",
            "configure it to place gangs by the capacity of nodes",
        )
    return failed(
        f"{name}: not 2 of 2 once others had given their processors back",
        f"{name} did not start the gang when the node had room",
        "see its logs",
    )


def _whole_or_none(name: str, cases: dict[str, Case]) -> Verdict:
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
