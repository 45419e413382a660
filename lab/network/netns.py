"""Network namespaces of the control plane and the nodes, connected by a bridge that exists only inside the lab."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lab import layout
from lab.commands import run, succeeds
from lab.layout import Node


def in_namespace(namespace: str, *command: str | Path) -> list[str]:
    """The command line that runs `command` in a network namespace.

    `ip netns exec` is no replacement: it hides /sys/fs/cgroup, which a kubelet needs.
    """
    return ["nsenter", f"--net=/run/netns/{namespace}", *map(str, command)]


def create_bridge() -> None:
    """Creates the control plane's namespace and the bridge in it, unless they exist."""
    if exists(layout.NAME):
        return
    run("ip", "netns", "add", layout.NAME)
    _batch(
        layout.NAME,
        "link set lo up",
        f"link add {layout.BRIDGE} type bridge",
        f"addr add {layout.CONTROL_PLANE_ADDRESS}/{layout.MACHINES.prefixlen} dev {layout.BRIDGE}",
        f"link set {layout.BRIDGE} up",
    )
    _forward_packets(layout.NAME)


def connect_node(node: Node, others: Iterable[Node]) -> None:
    """Creates the node's namespace, its link to the bridge, and the routes between its pods and all other pods."""
    if not exists(node.namespace):
        run("ip", "netns", "add", node.namespace)
        run(
            *in_namespace(
                layout.NAME,
                "ip",
                "link",
                "add",
                node.name,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                node.namespace,
            )
        )
        _batch(layout.NAME, f"link set {node.name} master {layout.BRIDGE}", f"link set {node.name} up")
        _batch(
            node.namespace,
            "link set lo up",
            f"addr add {node.address}/{layout.MACHINES.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {layout.CONTROL_PLANE_ADDRESS}",
        )
        _forward_packets(node.namespace)
    _batch(layout.NAME, f"route replace {node.pods} via {node.address}")
    for other in others:
        if other != node:
            _batch(node.namespace, f"route replace {other.pods} via {other.address}")
            _batch(other.namespace, f"route replace {node.pods} via {node.address}")


def disconnect_node(node: Node, others: Iterable[Node]) -> None:
    """Removes the node's namespace with its link, and the routes to its pods."""
    remove_namespace(node.namespace)
    for namespace in (layout.NAME, *(other.namespace for other in others if other != node)):
        succeeds(*in_namespace(namespace, "ip", "route", "del", str(node.pods)))


def cut(node: Node) -> None:
    """Disconnects the node from the network, like a pulled cable. Its processes keep running."""
    run(*in_namespace(layout.NAME, "ip", "link", "set", node.name, "down"))


def mend(node: Node) -> None:
    """Undoes `cut`."""
    run(*in_namespace(layout.NAME, "ip", "link", "set", node.name, "up"))


def is_cut(node: Node) -> bool:
    """Whether the node's link is down."""
    found = json.loads(run(*in_namespace(layout.NAME, "ip", "-json", "link", "show", node.name)))
    return "UP" not in found[0]["flags"]


def exists(namespace: str) -> bool:
    """Whether a network namespace of that name exists."""
    return Path("/run/netns", namespace).exists()


def all_namespaces() -> list[str]:
    """The names of the lab's network namespaces."""
    folder = Path("/run/netns")
    # The name of a second lab may start with the name of this one.
    found = [*folder.glob(layout.NAME), *folder.glob(f"{layout.NAME}-node-[0-9]*")] if folder.is_dir() else []
    return sorted(path.name for path in found)


def remove_namespace(namespace: str) -> None:
    """Deletes a network namespace. The kernel deletes its links, routes and rules."""
    if exists(namespace):
        run("ip", "netns", "del", namespace)


def _batch(namespace: str, *lines: str) -> None:
    run(*in_namespace(namespace, "ip", "-batch", "-"), stdin="\n".join(lines) + "\n")


def _forward_packets(namespace: str) -> None:
    settings = ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
    run(*in_namespace(namespace, "sysctl", "-q", "-w", *settings))
