"""Ray: each worker runs a node, and worker 0 runs the command as driver. Source: `ray start` and RAY_ADDRESS."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Ray:
    """`ray.init()` needs no arguments: the node script sets the address of the head."""

    rendezvous_script = None
    launcher = False
    node_script = "ray_node.py"
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The variables of the node script, which adds RAY_ADDRESS for the command."""
        return {
            "RANK": str(rank),
            "WORLD_SIZE": str(gang.size),
            "RAY_HEAD_ADDRESS": gang.addresses[0],
            "RAY_NODE_HOST": gang.hosts[rank],
            "RAY_NODE_CPUS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """No files."""
        return {}
