"""A sandboxed pod beside plain twins."""

from __future__ import annotations

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace, pod_fields
from plimsoll.evidence.verdict import Verdict, failed, unknown

_START_LIMIT = 120.0
# Handlers of runtimes with a kernel of their own. Another one is tried too, after these.
_KNOWN = ("runsc", "gvisor", "kata")
_MOST = 3
# What the kernel answers (uname, the time of its start, its log), and what files say.
_WHO = """echo "uname $(uname -srv)"
echo "booted $(sed -n 's/^btime //p' /proc/stat)"
echo "boot $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
echo "version $(cat /proc/version)"
echo "modules $(wc -l < /proc/modules 2>/dev/null || echo none)"
echo "log $(dmesg 2>&1 | head -n 1)"
echo "memory $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
"""


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Without a RuntimeClass there is nothing to ask for."""
    if facts.runtime_classes:
        return None
    if "runtime-class" in facts.unreadable:
        return unknown("runtime classes may not be listed", "grant list on runtimeclasses")
    return failed("", "there is no RuntimeClass", "install gVisor or Kata Containers and its RuntimeClass")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Each class until three were tried, those first whose handler is known for a kernel of its own."""
    ns.create()
    classes = sorted(facts.runtime_classes, key=lambda each: not any(word in each["handler"] for word in _KNOWN))
    for each in classes[:_MOST]:
        _beside_twins(ns, each["name"], each["handler"])


def _beside_twins(ns: ProbeNamespace, runtime_class: str, handler: str) -> None:
    ns.note("sandbox", name=runtime_class, handler=handler)
    prefix = f"in-{runtime_class}"[:40]
    ns.pod(f"{prefix}-sandbox", f"{_WHO}", runtimeClassName=runtime_class)
    ns.wait_for_end(f"{prefix}-sandbox", _START_LIMIT)
    node = pod_fields(ns.get("v1", "Pod", f"{prefix}-sandbox"))["node"]
    names = {"sandbox": f"{prefix}-sandbox"}
    if node:
        for twin in ("twin-1", "twin-2"):
            names[twin] = f"{prefix}-{twin}"
            ns.pod(names[twin], _WHO, nodeName=node)
        for twin in ("twin-1", "twin-2"):
            ns.wait_for_end(names[twin], _START_LIMIT)
    for role, name in names.items():
        found = pod_fields(ns.get("v1", "Pod", name))
        log = ns.log(name) if found["phase"] == "Succeeded" else ""
        ns.note("kernel", sandbox=runtime_class, role=role, said=_said(log), **found)


def _said(log: str) -> dict[str, str]:
    lines = [line.partition(" ") for line in log.splitlines()]
    return {
        key: value.strip()
        for key, _, value in lines
        if key in ("uname", "booted", "boot", "version", "modules", "log", "memory")
    }
