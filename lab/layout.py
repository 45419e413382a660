"""Folders, addresses and names of the lab. Labs with different names run side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

# Every lab uses the same addresses, as each has a network of its own.
NAME = os.environ.get("PLIMSOLL_LAB_NAME", "plimsoll-lab")
# Every namespace, cgroup, process and mount of the lab carries NAME or lies in this folder. `down` finds them by it.
FOLDER = Path(os.environ.get("PLIMSOLL_LAB", f"/var/lib/{NAME}"))
KUBECONFIG = FOLDER / "kubeconfig"

MACHINES = IPv4Network("10.88.0.0/16")
CONTROL_PLANE_ADDRESS = IPv4Address("10.88.0.1")
API_PORT = 6443
PODS = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.96.0.0/16")
API_SERVICE_ADDRESS = IPv4Address("10.96.0.1")
DNS_ADDRESS = IPv4Address("10.96.0.10")
# Fixed, so that nodes are configured with the address before a registry exists.
REGISTRY_ADDRESS = IPv4Address("10.96.0.20")
REGISTRY_PORT = 5000
CLUSTER_DOMAIN = "cluster.local"
CONTROL_PLANE = "control-plane"
BRIDGE = "machines"
# The name of an interface has at most 15 characters, which limits the number.
MOST_NODES = 200


@dataclass(frozen=True)
class Node:
    """A node: its number, which decides name, addresses, rack and zone, and the group that it belongs to."""

    number: int
    group: str = "plain"

    @property
    def name(self) -> str:
        """The host name, which is also the name in Kubernetes."""
        return f"node-{self.number}"

    @property
    def address(self) -> IPv4Address:
        """The address in the network of the machines."""
        return MACHINES.network_address + 256 + self.number

    @property
    def pods(self) -> IPv4Network:
        """The address range of the node's pods."""
        return IPv4Network((int(PODS.network_address) + 256 * self.number, 24))

    @property
    def accelerated(self) -> bool:
        """Whether the node has accelerators."""
        return self.group in ("accelerated", "elastic")

    @property
    def rack(self) -> str:
        """The rack. Nodes alternate between two racks, so that even two nodes are in different racks."""
        return "rack-a" if self.number % 2 else "rack-b"

    @property
    def zone(self) -> str:
        """The zone. It alternates every two nodes: 1 and 2 are in zone-a, 3 and 4 in zone-b, 5 and 6 in zone-a."""
        return "zone-a" if (self.number - 1) // 2 % 2 == 0 else "zone-b"

    @property
    def namespace(self) -> str:
        """The name of the node's network namespace."""
        return f"{NAME}-{self.name}"

    @property
    def folder(self) -> Path:
        """The folder of the node's files, its disk among them."""
        return machine_folder(self.name)


def machine_folder(machine: str) -> Path:
    """The folder of a machine's files: configuration, logs and, for a node, the folder that serves as its disk."""
    return FOLDER / "machines" / machine
