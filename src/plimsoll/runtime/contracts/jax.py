"""JAX: process 0 has the coordinator, and three variables tell every process its address."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Jax:
    """`jax.distributed.initialize` reads the coordinator's address by itself.

    The number of processes and the process id have variables of the same family; a script passes them on:
    `initialize(num_processes=int(os.environ["JAX_NUM_PROCESSES"]), process_id=int(os.environ["JAX_PROCESS_ID"]))`.
    """

    rendezvous_script = None
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The three variables of one process."""
        return {
            "JAX_COORDINATOR_ADDRESS": gang.addresses[0],
            "JAX_NUM_PROCESSES": str(gang.size),
            "JAX_PROCESS_ID": str(rank),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """No files."""
        return {}
