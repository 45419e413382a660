"""Which runtime carries pods that are to be kept apart strictly. Pure."""

from __future__ import annotations

from plimsoll.application.isolation import STRICT, Isolation
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster

KERNELS = ("runsc", "gvisor", "kata")
"""Parts of the names of handlers that give a pod a kernel of its own."""


def strict(asked: Isolation | None) -> Isolation | None:
    """What the file says of a step that is to be kept apart strictly; None for others."""
    return asked if asked is not None and asked.level == STRICT else None


def runtime_class(asked: Isolation, cluster: Cluster) -> str | None:
    """The RuntimeClass of the pods: the one that is named, or one that has a kernel of its own; None without any."""
    if asked.runtime_class is not None:
        return asked.runtime_class
    own = (
        name for name, handler in sorted(cluster.runtime_classes.items()) if any(word in handler for word in KERNELS)
    )
    return next(own, None)


def runtime_of(asked: Isolation | None, cluster: Cluster) -> Manifest:
    """The runtime of a pod, as a part of its spec; nothing for the cluster's own."""
    found = runtime_class(asked, cluster) if strict(asked) is not None and asked is not None else None
    return {"runtimeClassName": found} if found is not None else {}
