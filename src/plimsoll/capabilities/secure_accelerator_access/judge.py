"""The verdict from attempts to open devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from plimsoll.capabilities.records import Recorded
from plimsoll.capabilities.secure_accelerator_access.records import AccessTried, Held, WayTried
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_RIGHTS = "check the device plugin's or DRA driver's installation, and that the runtime's device control groups are on"
Devices = Mapping[str, set[str]]
"""The numbers of the devices of each holder, by the holder's name."""


def judge(record: Recorded) -> Verdict:
    """Every way of getting accelerators has to hold; the first that does not decides."""
    ways = record.all(WayTried)
    if not ways:
        return unknown("no way of getting accelerators was tested")
    verdicts = [_of_way(record, each) for each in ways]
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _of_way(record: Recorded, way: WayTried) -> Verdict:
    name = way.way
    held = [each for each in record.all(Held) if each.way == name]
    if len(held) < 2 or not all(each.devices for each in held):
        return environment_error(
            f"{name}: two pods did not both get an accelerator of {way.name} on {way.node}",
            "free two accelerators on that node, or see the pods' events",
        )
    if len({each.node for each in held}) != 1:
        return unknown(f"{name}: the two holders ran on different nodes, which shows nothing")
    fake = [device.path for each in held for device in each.devices if not (device.block or device.character)]
    if fake:
        return failed(f"{name}: {fake[0]} is no device", f"{name}: the accelerator in a pod is a plain file", _RIGHTS)
    own = {each.pod: {device.label for device in each.devices} for each in held}
    first, second = own.values()
    # All holders share control devices (such as nvidiactl); each has to have one of its own besides.
    if not first - second or not second - first:
        return failed(
            f"{name}: both pods see {sorted(first)}", f"{name}: two holders were given the same device", _RIGHTS
        )
    return _of_attempts(name, [each for each in record.all(AccessTried) if each.pod.startswith(name)], own)


def _of_attempts(name: str, attempts: Sequence[AccessTried], own: Devices) -> Verdict:
    strangers = [each for each in attempts if each.pod == f"{name}-without"]
    holders = [each for each in attempts if each.pod in own and each.container == "main"]
    siblings = [each for each in attempts if each.pod in own and each.container == "sibling"]
    if len(holders) < 2 or len(siblings) < 2 or not strangers or not strangers[0].tries:
        return unknown(f"{name}: not every attack ran to its end")
    first, second = own.values()
    private = first ^ second
    for each in holders:
        mine = own[each.pod] & private
        opened = _opened(each) & private
        if not mine <= opened:
            return unknown(
                f"{name}: the control failed: {each.pod} could not open its own device by its numbers, "
                "so that the failure of the others shows nothing",
                "a policy of the node may forbid device nodes; see 'tried' in the record",
            )
        if opened - mine:
            return _broken(name, each.pod, opened - mine, "another pod's accelerator")
    if problem := _alike(name, holders, own, private):
        return problem
    for each in (*siblings, *strangers):
        who = f"{each.container} of {each.pod}"
        if opened := _opened(each) & private:
            return _broken(name, who, opened, "an accelerator that it did not request")
        if seen := {device.label for device in each.sees} & private:
            return _broken(name, who, seen, "the device file of an accelerator")
    count = sum(len(set(each.tries) & private) for each in attempts)
    return passed(f"{name}: {count} attempts, only the holders' own succeeded")


def _alike(name: str, holders: Sequence[AccessTried], own: Devices, private: set[str]) -> Verdict | None:
    """Two device numbers may lead to one device: then both holders read the same from it.

    A device that returns only zeros, or nothing at all, distinguishes nothing.
    """
    read = []
    for each in holders:
        words = [each.tries[label].split() for label in own[each.pod] & private]
        read.append({word[1] for word in words if len(word) == 3 and int(word[2]) > 0})
    if both := read[0] & read[1]:
        return failed(
            f"{name}: both holders read {min(both)[:12]}…",
            f"{name}: two holders were given one device under two numbers",
            _RIGHTS,
        )
    return None


def _broken(name: str, who: str, what: Collection[str], which: str) -> Verdict:
    return failed(f"{name}: {who} got at {', '.join(sorted(what))}", f"{name}: {who} could reach {which}", _RIGHTS)


def _opened(attempt: AccessTried) -> set[str]:
    return {label for label, result in attempt.tries.items() if result.split(" ")[0] == "opened"}
