"""What keeps an object or a namespace from its end, which was asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from plimsoll.kubernetes.objects import Object

_FINALIZER = re.compile(r"([\w./-]+) in (\d+) resource instances")


def held_by(manifest: Object) -> str:
    """What an object that is being deleted waits for: its finalizers, or its own time to end."""
    metadata = manifest["metadata"]
    finalizers: Sequence[str] = metadata.get("finalizers") or []
    if not metadata.get("deletionTimestamp"):
        return "its deletion has not begun"
    if finalizers:
        return f"the finalizer {', '.join(finalizers)}, which its controller has to lift"
    grace = metadata.get("deletionGracePeriodSeconds")
    if grace:
        node = manifest.get("spec", {}).get("nodeName", "")
        return f"its {grace} s to end{f' on {node}' if node else ''}"
    return "what depends on it"


def namespace_waits(namespace: Object) -> str:
    """What a namespace that is being deleted waits for, by its conditions; empty when it says nothing."""
    said = {
        each["type"]: " ".join(str(each.get("message", "")).split()).rstrip(".")
        for each in namespace.get("status", {}).get("conditions", [])
        if each.get("status") == "True"
    }
    found = []
    if remaining := said.get("NamespaceContentRemaining"):
        found.append(remaining[:1].lower() + remaining[1:])
    if blocked := said.get("NamespaceFinalizersRemaining"):
        finalizers = ", ".join(f"{name} in {count} objects" for name, count in _FINALIZER.findall(blocked))
        found.append(f"finalizers are left: {finalizers or blocked}")
    for kind in ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionContentFailure"):
        if failure := said.get(kind):
            found.append(failure[:300])
    own = [each for each in namespace.get("spec", {}).get("finalizers", []) if each != "kubernetes"]
    if own:
        found.append(f"the namespace's own finalizer {', '.join(own)}")
    return "; ".join(found)
