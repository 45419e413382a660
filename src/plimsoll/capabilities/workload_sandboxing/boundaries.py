"""What a sandboxed pod may see of its node beside the kernel: nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

BOUNDARIES = ("processes", "devices", "mounts", "interfaces")
"""The facts that pods report of these boundaries, each a list of words with commas."""
# The probe's own script, and the process that keeps a pod's namespaces.
_OWN_PROCESSES = frozenset({"sh", "ash", "busybox", "pause"})
_PATHS_OF_NODES = re.compile(
    r"/var/lib/(?:kubelet|containerd|docker|containers|rancher)\b|/run/(?:containerd|docker|crio)\b"
)
_PATHS_SHOWN = 60


def crossed(sandbox: Mapping[str, str], twin: Mapping[str, str]) -> str:
    """The first boundary at which the sandbox sees its node, as the end of a sentence; empty when it sees nothing.

    The twin is a plain pod of the same node: its interfaces are what any pod there has.
    """
    if foreign := [name for name in _words(sandbox["processes"]) if name not in _OWN_PROCESSES]:
        return f"sees processes that are not its own: {', '.join(sorted(set(foreign))[:5])}"
    if devices := _words(sandbox["devices"]):
        return f"has devices of the node's memory: {', '.join(devices)}"
    if paths := [each for each in _words(sandbox["mounts"]) if _PATHS_OF_NODES.search(each)]:
        return f"sees paths of the node: {paths[0].partition('=')[0][:_PATHS_SHOWN]}"
    more = set(_words(sandbox["interfaces"])) - set(_words(twin["interfaces"])) - {"lo"}
    if more:
        return f"sees network interfaces that its plain twin does not: {', '.join(sorted(more)[:5])}"
    return ""


def _words(text: str) -> list[str]:
    return [word for each in text.split(",") if (word := each.strip())]
