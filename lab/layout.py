"""Where things are: the lab's folder, its addresses and its names. Labs of different names run side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

# Addresses are the same in every lab: each has a network of its own.
NAME = os.environ.get("PLIMSOLL_LAB_NAME", "plimsoll-lab")
# Every namespace, cgroup, process and mount of the lab carries NAME or lies in this folder: `down` finds them by that.
FOLDER = Path(os.environ.get("PLIMSOLL_LAB", f"/var/lib/{NAME}"))
KUBECONFIG = FOLDER / "kubeconfig"

MACHINES = IPv4Network("10.88.0.0/16")
CONTROL_PLANE_ADDRESS = IPv4Address("10.88.0.1")
API_PORT = 6443
PODS = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.96.0.0/16")
API_SERVICE_ADDRESS = IPv4Address("10.96.0.1")
DNS_ADDRESS = IPv4Address("10.96.0.10")
# Fixed, so that a node can be told before there is a registry where it will be.
REGISTRY_ADDRESS = IPv4Address("10.96.0.20")
REGISTRY_PORT = 5000
CLUSTER_DOMAIN = "cluster.local"
CONTROL_PLANE = "control-plane"
BRIDGE = "machines"
# An interface's name has 15 characters at most, which is what bounds the number.
MOST_NODES = 200


@dataclass(frozen=True)
class Node:
    """A node by its number, from which name, addresses and place follow, and the group that it belongs to."""

    number: int
    group: str = "plain"

    @property
    def name(self) -> str:
        """Its host name and its name in Kubernetes."""
        return f"node-{self.number}"

    @property
    def address(self) -> IPv4Address:
        """Its address among the machines."""
        return MACHINES.network_address + 256 + self.number

    @property
    def pods(self) -> IPv4Network:
        """The addresses of its pods."""
        return IPv4Network((int(PODS.network_address) + 256 * self.number, 24))

    @property
    def accelerated(self) -> bool:
        """Whether it has accelerators."""
        return self.group in ("accelerated", "elastic")

    @property
    def rack(self) -> str:
        """Two racks, taken in turn, so that even two nodes are apart."""
        return "rack-a" if self.number % 2 else "rack-b"

    @property
    def zone(self) -> str:
        """Two racks make a zone; the third and fourth node of each four are in the other zone."""
        return "zone-a" if (self.number - 1) // 2 % 2 == 0 else "zone-b"

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"{NAME}-{self.name}"

    @property
    def folder(self) -> Path:
        """What lies on its disk."""
        return machine_folder(self.name)


def machine_folder(machine: str) -> Path:
    """The folder of a machine's files: configuration, logs and, for nodes, what stands for its disk."""
    return FOLDER / "machines" / machine
