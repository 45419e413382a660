"""Which kernels there were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

# Said by the kernel to every process that asks; the rest are files, which somebody could have put there.
_ANSWERS = ("uname", "booted")


def judge(record: Sequence[Observation]) -> Verdict:
    """One class that gives a kernel of its own is enough; else the first one's verdict."""
    verdicts = [
        _of_class(
            each["name"], {one["role"]: one for one in events(record, "kernel") if one["sandbox"] == each["name"]}
        )
        for each in events(record, "sandbox")
    ]
    if not verdicts:
        return unknown("no RuntimeClass was tried")
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_class(name: str, pods: dict[str, dict[str, Any]]) -> Verdict:
    sandbox = pods.get("sandbox")
    if sandbox is None:
        return unknown(f"{name}: no pod was tried")
    if not sandbox["said"]:
        why = sandbox["unscheduled"] or ", ".join(sandbox["waiting"]) or sandbox["phase"]
        return failed(
            f"{name}: {why}", f"a pod of the RuntimeClass {name} does not run", "see its events, and the runtime"
        )
    twins = [pods[role] for role in ("twin-1", "twin-2") if role in pods and pods[role]["said"]]
    if len(twins) < 2:
        return environment_error(f"{name}: its plain twins did not run on {sandbox['node']}", "see their events")
    if len({each["node"] for each in (sandbox, *twins)}) != 1:
        return unknown(f"{name}: the twins were on another node, which shows nothing")
    one, two = (each["said"] for each in twins)
    alike = [key for key in one if key not in ("log", "memory") and one[key] == two.get(key)]
    if not set(_ANSWERS) & set(alike):
        return unknown(f"{name}: the control failed: two plain pods on one node say that they have different kernels")
    said = sandbox["said"]
    answers = [key for key in _ANSWERS if key in alike and said.get(key) and said[key] != one[key]]
    if "uname" not in answers and not ("booted" in answers and said.get("boot") != one.get("boot")):
        return failed(
            f"{name}: {said['uname'][:80]}",
            f"a pod of the RuntimeClass {name} is on the same kernel as its plain twin",
            f"see what the handler of {name} is in the runtime's configuration of {sandbox['node']}",
        )
    return passed(f"{name}: {said['uname'][:60]} beside {one['uname'][:60]} on {sandbox['node']}")
