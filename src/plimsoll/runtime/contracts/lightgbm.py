"""LightGBM: a machine list and one port for each worker. Source: LightGBM's Parallel Learning Guide.

LightGBM reads no variables. These have the names of its parameters, and a script passes them on
(`machines`, `num_machines`, `local_listen_port`, or `machine_list_filename`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from plimsoll.runtime.contracts.gang import LONGEST_VARIABLE, Gang

LIST = "machines.txt"


class LightGBM:
    """Workers find each other in the list. A worker finds itself by its port."""

    rendezvous_script = None
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The machine list as file, as value too where it fits in a variable, and the port of this worker."""
        machines = ",".join(gang.addresses)
        fits = len(machines) < LONGEST_VARIABLE - len("LIGHTGBM_MACHINES=")
        return {
            **({"LIGHTGBM_MACHINES": machines} if fits else {}),
            "LIGHTGBM_MACHINE_LIST_FILENAME": str(PurePath(gang.directory, LIST)),
            "LIGHTGBM_NUM_MACHINES": str(gang.size),
            "LIGHTGBM_LOCAL_LISTEN_PORT": str(gang.ports[rank]),
            "LIGHTGBM_RANK": str(rank),
            "OMP_NUM_THREADS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """One line `host port` for each worker."""
        lines = (f"{host} {port}\n" for host, port in zip(gang.hosts, gang.ports, strict=True))
        return {LIST: "".join(lines)}
