"""What a plan says of a cluster's nodes: whose they are, and which architectures images are made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plimsoll.errors import TargetError
from plimsoll.images.base import own_architecture
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.kubernetes.platforms import platform_note


def node_notes(cluster: Cluster, architectures: Callable[[], Sequence[str]]) -> dict[str, str]:
    """The notes by what they are about. `architectures` are those that images can be made for."""
    note = platform_note(cluster)
    return _of_images(cluster, architectures) | ({"platform": note} if note else {})


def _of_images(cluster: Cluster, architectures: Callable[[], Sequence[str]]) -> dict[str, str]:
    """What images are made for, where nodes differ from each other or from this machine."""
    of_nodes = cluster.architectures
    if of_nodes in ((), (own_architecture(),)):
        return {}
    try:
        found = architectures()
    except TargetError as error:
        return {"images": f"for {' or '.join(of_nodes)}, as nodes are: {error.message}"}
    left = [each for each in of_nodes if each not in found]
    why = f"; the base image is not for {', '.join(left)}, whose nodes are left out" if left else ", as nodes are"
    return {"images": f"for {' and '.join(found)}{why}"}
