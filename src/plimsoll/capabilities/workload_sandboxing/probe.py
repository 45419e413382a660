"""Creates a sandboxed pod beside plain twins."""

from __future__ import annotations

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.pods import pod_fields
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.workload_sandboxing.boundaries import BOUNDARIES
from plimsoll.capabilities.workload_sandboxing.records import KernelSeen, SandboxTried
from plimsoll.evidence.verdict import Verdict, not_implemented, unknown

_START_LIMIT = 120.0
# Handlers of runtimes with a kernel of their own, which are tested first.
_KNOWN = ("runsc", "gvisor", "kata")
_MOST = 3
# Facts that the kernel answers (uname, the time of its start, its log), facts in files, and what is seen of the node:
# processes, devices of its memory, what is mounted of its file system, network interfaces.
_WHO = r"""echo "uname $(uname -srv)"
echo "booted $(sed -n 's/^btime //p' /proc/stat)"
echo "boot $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
echo "version $(cat /proc/version)"
echo "modules $(wc -l < /proc/modules 2>/dev/null || echo none)"
echo "log $(dmesg 2>&1 | head -n 1)"
echo "memory $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
echo "processes $(for p in /proc/[0-9]*/comm; do read -r n < $p && printf '%s,' "$n"; done 2>/dev/null)"
echo "devices $(ls -d /dev/mem /dev/kmem /dev/port 2>/dev/null | tr '\n' ',')"
echo "mounts $(awk '{printf "%s=%s,", $4, $(NF-1)}' /proc/self/mountinfo 2>/dev/null | head -c 4000)"
echo "interfaces $(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev 2>/dev/null | tr '\n' ',')"
"""
_KEYS = ("uname", "booted", "boot", "version", "modules", "log", "memory", *BOUNDARIES)


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs a RuntimeClass."""
    if facts.runtime_classes:
        return None
    if "runtime-class" in facts.unreadable:
        return unknown("the caller may not list runtime classes", "grant list on runtimeclasses")
    return not_implemented("there is no RuntimeClass", "install gVisor or Kata Containers and its RuntimeClass")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test three classes at most, those first whose handler is known for a kernel of its own."""
    ns.create()
    classes = sorted(facts.runtime_classes, key=lambda each: not any(word in each.handler for word in _KNOWN))
    for each in classes[:_MOST]:
        _compare_with_twins(ns, each.name, each.handler)


def _compare_with_twins(ns: ProbeNamespace, runtime_class: str, handler: str) -> None:
    ns.note(SandboxTried(name=runtime_class, handler=handler, boundaries=True))
    prefix = f"in-{runtime_class}"[:40]
    ns.pod(f"{prefix}-sandbox", _WHO, runtimeClassName=runtime_class)
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
        ns.note(KernelSeen(**found, sandbox=runtime_class, role=role, said=_parse(log)))


def _parse(log: str) -> dict[str, str]:
    lines = [line.partition(" ") for line in log.splitlines()]
    return {key: value.strip() for key, _, value in lines if key in _KEYS}
