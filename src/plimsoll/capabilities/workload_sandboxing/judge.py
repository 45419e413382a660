"""The verdict from the kernels of a sandbox and its plain twins."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.capabilities.records import Recorded
from plimsoll.capabilities.workload_sandboxing.boundaries import BOUNDARIES, crossed
from plimsoll.capabilities.workload_sandboxing.records import KernelSeen, SandboxTried
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

# The kernel answers these to every process; the other facts are files, which somebody could have put there.
_ANSWERS = ("uname", "booted")


def judge(record: Recorded) -> Verdict:
    """One RuntimeClass that gives a kernel of its own is enough; else the verdict of the first."""
    verdicts = [
        _of_class(each, {one.role: one for one in record.all(KernelSeen) if one.sandbox == each.name})
        for each in record.all(SandboxTried)
    ]
    if not verdicts:
        return unknown("no RuntimeClass was tested")
    return next((each for each in verdicts if each.outcome is Outcome.PASS), verdicts[0])


def _of_class(tried: SandboxTried, pods: Mapping[str, KernelSeen]) -> Verdict:
    name = tried.name
    sandbox = pods.get("sandbox")
    if sandbox is None:
        return unknown(f"{name}: no pod was created")
    if not sandbox.said:
        why = sandbox.unscheduled or ", ".join(sandbox.waiting) or sandbox.phase
        return failed(
            f"{name}: {why}", f"a pod of the RuntimeClass {name} does not run", "see its events, and the runtime"
        )
    twins = [pods[role] for role in ("twin-1", "twin-2") if role in pods and pods[role].said]
    if len(twins) < 2:
        return environment_error(f"{name}: its plain twins did not run on {sandbox.node}", "see their events")
    if len({each.node for each in (sandbox, *twins)}) != 1:
        return unknown(f"{name}: the twins were on another node, which shows nothing")
    one, two = (each.said for each in twins)
    alike = [key for key in one if key not in ("log", "memory") and one[key] == two.get(key)]
    if not set(_ANSWERS) & set(alike):
        return unknown(f"{name}: the control failed: two plain pods on one node report different kernels")
    said = sandbox.said
    answers = [key for key in _ANSWERS if key in alike and said.get(key) and said[key] != one[key]]
    if "uname" not in answers and not ("booted" in answers and said.get("boot") != one.get("boot")):
        return failed(
            f"{name}: {said['uname'][:80]}",
            f"a pod of the RuntimeClass {name} is on the same kernel as its plain twin",
            f"see which handler {name} has in the runtime's configuration of {sandbox.node}",
        )
    figure = f"{name}: {said['uname'][:60]} beside {one['uname'][:60]} on {sandbox.node}"
    return _at_boundaries(name, said, one, figure) if tried.boundaries else passed(figure)


def _at_boundaries(name: str, said: Mapping[str, str], twin: Mapping[str, str], figure: str) -> Verdict:
    if missing := [each for each in BOUNDARIES if each not in said or each not in twin]:
        return unknown(f"{name}: the pods did not report their {missing[0]}", "see what they said in the record")
    if seen := crossed(said, twin):
        return failed(
            f"{name}: {seen}",
            f"a pod of the RuntimeClass {name} has a kernel of its own, and {seen}",
            "run it without the node's namespaces, devices and paths",
        )
    return passed(f"{figure}; no process, memory device, path or interface of the node")
