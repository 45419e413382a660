"""What the check and a run both read from a Node: its conditions, taints, resources and versions. Pure."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.kubernetes.objects import Object, has_condition


class Taint(Struct, frozen=True, kw_only=True):
    """A taint of a node; what the API leaves out is empty."""

    key: str = ""
    value: str = ""
    effect: str = ""

    @property
    def keeps_pods_off(self) -> bool:
        """Whether pods that do not tolerate the taint are not placed on the node."""
        return self.effect != "PreferNoSchedule"


def is_ready(node: Object) -> bool:
    """Whether the kubelet reports the node as ready."""
    return has_condition(node, "Ready")


def is_schedulable(node: Object) -> bool:
    """Whether the node is not cordoned."""
    return not node["spec"].get("unschedulable", False)


def taints(node: Object) -> tuple[Taint, ...]:
    """All taints of the node."""
    return tuple(
        Taint(key=each.get("key", ""), value=each.get("value", ""), effect=each.get("effect", ""))
        for each in node["spec"].get("taints", [])
    )


def allocatable(node: Object) -> dict[str, str]:
    """Quantities by resource that pods may request on the node."""
    return dict(node["status"].get("allocatable", {}))


def kubelet_version(node: Object) -> str:
    """The version of the kubelet, such as v1.37.0; empty when the node does not report one."""
    return str(node["status"].get("nodeInfo", {}).get("kubeletVersion", ""))


def architecture(node: Object) -> str:
    """The architecture, such as amd64; empty when the node does not report one."""
    return str(node["status"].get("nodeInfo", {}).get("architecture", ""))


def container_runtime(node: Object) -> str:
    """The container runtime and its version, such as containerd://2.1.0; empty when the node does not report one."""
    return str(node["status"].get("nodeInfo", {}).get("containerRuntimeVersion", ""))
