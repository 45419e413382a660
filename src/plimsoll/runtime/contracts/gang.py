"""A gang of workers, and the protocol of a framework's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

LONGEST_VARIABLE = (128 << 10) - 1
"""Bytes of one variable, name and `=` included, that Linux hands to a process (MAX_ARG_STRLEN)."""


class Gang(Struct, frozen=True, kw_only=True):
    """The addresses of the workers.

    `hosts` and `ports` have one entry for each rank. `rendezvous` is the address of the framework's tracker, if it has
    one. `directory` has the contract's files.
    """

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    directory: str
    rendezvous: tuple[str, int] | None = None
    cores_per_worker: float = 1.0

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self.hosts)

    @property
    def addresses(self) -> tuple[str, ...]:
        """`host:port` of each rank."""
        return tuple(f"{host}:{port}" for host, port in zip(self.hosts, self.ports, strict=True))

    @property
    def threads(self) -> int:
        """Threads of one worker: its whole cores, at least one."""
        return max(1, int(self.cores_per_worker))


class FrameworkContract(Protocol):
    """The environment that a framework's workers expect.

    A rendezvous is a script of `runtime.rendezvous` that must run before the workers start. A launcher is one process
    that starts the other workers itself. A node is a script of `runtime.rendezvous` that every worker runs, with the
    command as its arguments. An agent is one that every worker runs so where workers are pods: it lets a launcher in.
    """

    @property
    def rendezvous_script(self) -> str | None:
        """The script's file name, if the framework has a rendezvous."""
        ...

    @property
    def launcher(self) -> bool:
        """Whether the framework has a launcher."""
        ...

    @property
    def node_script(self) -> str | None:
        """The script's file name, if the framework has a node for each worker."""
        ...

    @property
    def agent_script(self) -> str | None:
        """The script's file name, if the framework has an agent."""
        ...

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """The environment variables of one worker."""
        ...

    def files(self, gang: Gang) -> Mapping[str, str]:
        """Contents by file name. The files must be in the gang's directory before the workers start."""
        ...
