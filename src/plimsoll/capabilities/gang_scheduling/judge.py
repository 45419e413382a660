"""What the cases show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """A scheduler that was seen to do all of it passes; else the first one's verdict, which says what was missing."""
    names = [each["name"] for each in events(record, "scheduler")]
    if not names:
        room = events(record, "room")
        return environment_error(
            f"the roomiest node has {room[0]['free'] if room else 0} thousandths of a processor free",
            "free at least a fifth of a processor on a node",
        )
    verdicts = [
        _of_scheduler(name, {each["case"]: each for each in events(record, "case") if each["scheduler"] == name})
        for name in names
    ]
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_scheduler(name: str, cases: dict[str, dict[str, Any]]) -> Verdict:
    fits = cases.get("fits")
    if fits is None:
        return unknown(f"{name}: no case was tried")
    if not fits["all"]:
        # Whoever starts nothing at all also starts no part of a gang.
        return failed(
            f"{name}: {fits['bound']} of 2 started", f"{name} did not start a gang that fits", "see the record's pods"
        )
    if "filler" in cases:
        return environment_error(f"{name}: the filler did not start", "something else took the node's room meanwhile")
    waits, small, control, released = (cases.get(case) for case in ("waits", "small", "control", "released"))
    if not (waits and small and control and released):
        return unknown(f"{name}: not every case was tried")
    # One that lets a part in when it has waited long enough does so while the control is tried.
    if part := max(waits["bound"], control.get("late", 0)):
        return failed(
            f"{name}: {part} of 2 bound",
            f"{name} started a part of a gang",
            "set it up for gangs (all or nothing)",
        )
    if not small["all"]:
        return failed(
            f"{name}: {small['bound']} of 2 of a gang that fits beside the filler",
            f"{name} held back what would have fitted: it is not capacity that it looks at",
            "see what else holds gangs back: a quota, a suspended or stopped queue, a policy",
        )
    if control["bound"] != 1:
        return unknown(
            f"{name}: the control failed: {control['bound']} of 2 pods without a gang were bound, where one fits",
            "something else limits or frees the node's room; try again on a quiet node",
        )
    if not released["all"]:
        return failed(
            f"{name}: {released['bound']} of 2 after the release",
            f"{name} did not start the gang when room was made",
            "see its logs",
        )
    if not waits["reason"]:
        return unknown(f"{name}: it gave no reason for the gang's waiting, so that something else may have held it")
    return passed(
        f"{name}: 0 of 2 bound for {waits['seconds']:.0f} s, 2 of 2 of a smaller one meanwhile, "
        "1 of 2 without a gang, 2 of 2 after the release"
    )
