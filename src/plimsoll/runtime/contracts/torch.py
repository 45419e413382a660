"""PyTorch: the variables that torchrun sets. Source: torch.distributed.run, "Environment Variables"."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Torch:
    """Rank 0 serves the store at MASTER_ADDR:MASTER_PORT. The other ranks retry until it is up."""

    rendezvous_script = None
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The variables that `torch.distributed.init_process_group()` reads with `env://`, and torchrun's others.

        The workers of one host are one node for torchrun, so local ranks count the workers of a host.
        """
        local = [other for other, host in enumerate(gang.hosts) if host == gang.hosts[rank]]
        size = str(gang.size)
        return {
            "RANK": str(rank),
            "WORLD_SIZE": size,
            "LOCAL_RANK": str(local.index(rank)),
            "LOCAL_WORLD_SIZE": str(len(local)),
            "GROUP_RANK": str(sorted(set(gang.hosts)).index(gang.hosts[rank])),
            "GROUP_WORLD_SIZE": str(len(set(gang.hosts))),
            "ROLE_RANK": str(rank),
            "ROLE_WORLD_SIZE": size,
            "ROLE_NAME": "default",
            "MASTER_ADDR": gang.hosts[0],
            "MASTER_PORT": str(gang.ports[0]),
            "OMP_NUM_THREADS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """No files."""
        return {}
