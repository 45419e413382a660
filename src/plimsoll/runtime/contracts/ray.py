"""Ray: a node for each worker, and the command on worker 0 as the driver. Source: `ray start` and RAY_ADDRESS."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Ray:
    """`ray.init()` needs no arguments: the node's script says where the head is."""

    rendezvous_script = None
    launcher = False
    node_script = "ray_node.py"

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """What the node's script needs; the command sees RAY_ADDRESS beside it."""
        return {
            "RANK": str(rank),
            "WORLD_SIZE": str(gang.size),
            "RAY_HEAD_ADDRESS": gang.addresses[0],
            "RAY_NODE_HOST": gang.hosts[rank],
            "RAY_NODE_CPUS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """None."""
        return {}
