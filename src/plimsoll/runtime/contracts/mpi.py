"""MPI: a host file for the process that starts the others with mpirun.

Open MPI and MPICH have different formats for the slots of a host (`host slots=2`, `host:2`), so each has its own file
and its own variable. Sources: Open MPI's mpirun(1) and MCA parameters, MPICH's Hydra user guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath

from plimsoll.runtime.contracts.gang import Gang

OPEN_MPI = "hostfile"
HYDRA = "hydra-hosts"
SECRET_VARIABLE = "MPI_DOOR_SECRET"  # noqa: S105  # the name of a variable
"""What the agent's doors know each other by."""


class MPI:
    """`run: mpirun python train.py` needs no arguments: the variables name the file with hosts and slots."""

    rendezvous_script = None
    launcher = True
    node_script = None
    agent_script = "mpi_node.py"

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The paths of the host files, for Open MPI 4 and 5, MPICH and Intel MPI; what the agent needs besides."""
        open_mpi = str(PurePath(gang.directory, OPEN_MPI))
        hydra = str(PurePath(gang.directory, HYDRA))
        return {
            "MPI_DOOR_RANK": str(rank),
            "MPI_DOOR_PORT": str(gang.ports[rank]),
            "OMPI_MCA_orte_default_hostfile": open_mpi,
            "PRTE_MCA_prte_default_hostfile": open_mpi,
            "HYDRA_HOST_FILE": hydra,
            "I_MPI_HYDRA_HOST_FILE": hydra,
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """Each host once, with its number of slots."""
        slots = Counter(gang.hosts)
        return {
            OPEN_MPI: "".join(f"{host} slots={count}\n" for host, count in slots.items()),
            HYDRA: "".join(f"{host}:{count}\n" for host, count in slots.items()),
        }
