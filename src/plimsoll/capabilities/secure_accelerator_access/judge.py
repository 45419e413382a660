"""What the attacks show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_RIGHTS = "check the device plugin's or DRA driver's installation, and that the runtime's device control groups are on"


def judge(record: Sequence[Observation]) -> Verdict:
    """Every way must hold; the first that does not decides."""
    ways = events(record, "way")
    if not ways:
        return unknown("no way of giving out accelerators was tried")
    verdicts = [_way(record, each) for each in ways]
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _way(record: Sequence[Observation], way: dict[str, Any]) -> Verdict:
    name = way["way"]
    held = [each for each in events(record, "held") if each["way"] == name]
    if len(held) < 2 or not all(each["devices"] for each in held):
        return environment_error(
            f"{name}: two pods did not both get an accelerator of {way['name']} on {way['node']}",
            "free two accelerators on that node, or look at the pods' events",
        )
    if len({each["node"] for each in held}) != 1:
        return unknown(f"{name}: the two holders ran on different nodes, which shows nothing")
    fake = [
        device["path"] for each in held for device in each["devices"] if not (device["block"] or device["character"])
    ]
    if fake:
        return failed(
            f"{name}: {fake[0]} is no device", f"{name}: what looks like an accelerator is a plain file", _RIGHTS
        )
    own = {each["pod"]: {_label(device) for device in each["devices"]} for each in held}
    first, second = own.values()
    # Control devices (such as nvidiactl) are common to all holders; each has to have one of its own besides.
    if not first - second or not second - first:
        return failed(
            f"{name}: both pods see {sorted(first)}", f"{name}: two holders were given the same device", _RIGHTS
        )
    return _attempts(record, name, own)


def _attempts(record: Sequence[Observation], name: str, own: dict[str, set[str]]) -> Verdict:
    attempts = [each for each in events(record, "tried") if each["pod"].startswith(name)]
    strangers = [each for each in attempts if each["pod"] == f"{name}-without"]
    holders = [each for each in attempts if each["pod"] in own and each["container"] == "main"]
    siblings = [each for each in attempts if each["pod"] in own and each["container"] == "sibling"]
    if len(holders) < 2 or len(siblings) < 2 or not strangers or not strangers[0]["tries"]:
        return unknown(f"{name}: not every attack was tried to its end")
    first, second = own.values()
    private = first ^ second
    for each in holders:
        mine = own[each["pod"]] & private
        opened = _opened(each) & private
        if not mine <= opened:
            return unknown(
                f"{name}: the control failed: {each['pod']} could not open its own device by its numbers, "
                "so that others could not either shows nothing",
                "the node's policy may forbid making device nodes; look at the record's 'tried'",
            )
        if opened - mine:
            return _broken(name, each["pod"], sorted(opened - mine), "another pod's accelerator")
    if problem := _alike(name, holders, own, private):
        return problem
    for each in (*siblings, *strangers):
        if opened := _opened(each) & private:
            return _broken(
                name,
                f"{each['container']} of {each['pod']}",
                sorted(opened),
                "an accelerator that it had not asked for",
            )
        if seen := {_label(device) for device in each["sees"]} & private:
            return _broken(
                name, f"{each['container']} of {each['pod']}", sorted(seen), "the device file of an accelerator"
            )
    count = sum(len(set(each["tries"]) & private) for each in attempts)
    return passed(f"{name}: {count} attempts, only the holders' own succeeded")


def _alike(name: str, holders: Sequence[dict[str, Any]], own: dict[str, set[str]], private: set[str]) -> Verdict | None:
    """Two numbers may lead to one device: then both holders read the same from it. A device that gives nothing but
    zeros, or nothing at all, tells nothing."""
    read = []
    for each in holders:
        words = [each["tries"][label].split() for label in own[each["pod"]] & private]
        read.append({word[1] for word in words if len(word) == 3 and int(word[2]) > 0})
    if both := read[0] & read[1]:
        return failed(
            f"{name}: both holders read {min(both)[:12]}…",
            f"{name}: two holders were given one device under two numbers",
            _RIGHTS,
        )
    return None


def _broken(name: str, who: str, what: list[str], which: str) -> Verdict:
    return failed(f"{name}: {who} got at {', '.join(what)}", f"{name}: {who} could reach {which}", _RIGHTS)


def _label(device: dict[str, Any]) -> str:
    return f"{device['major']}:{device['minor']}"


def _opened(attempt: dict[str, Any]) -> set[str]:
    return {label for label, result in attempt["tries"].items() if result.split(" ")[0] == "opened"}
