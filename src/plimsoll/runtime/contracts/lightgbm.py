"""LightGBM: a machine list, and a port of its own for each worker. Source: LightGBM's Parallel Learning Guide.

LightGBM itself reads no variables: these have its parameters' names, and a script hands them on
(`machines`, `num_machines`, `local_listen_port`, or `machine_list_filename`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from plimsoll.runtime.contracts.gang import Gang

LIST = "machines.txt"


class LightGBM:
    """Workers find each other by the list; a worker knows itself by its port."""

    rendezvous_script = None
    launcher = False
    node_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The list in both of its forms, and this worker's port."""
        return {
            "LIGHTGBM_MACHINES": ",".join(gang.addresses),
            "LIGHTGBM_MACHINE_LIST_FILENAME": str(PurePath(gang.directory, LIST)),
            "LIGHTGBM_NUM_MACHINES": str(gang.size),
            "LIGHTGBM_LOCAL_LISTEN_PORT": str(gang.ports[rank]),
            "LIGHTGBM_RANK": str(rank),
            "OMP_NUM_THREADS": str(gang.threads),
        }

    def files(self, gang: Gang) -> Mapping[str, str]:
        """One line `host port` for each machine."""
        lines = (f"{host} {port}\n" for host, port in zip(gang.hosts, gang.ports, strict=True))
        return {LIST: "".join(lines)}
