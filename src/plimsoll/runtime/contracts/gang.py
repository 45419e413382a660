"""A gang as its workers must see it, and what a framework's contract is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Gang(Struct, frozen=True, kw_only=True):
    """Where the workers are.

    `hosts` and `ports` have one entry for each rank; `rendezvous` is the address of the tracker where the framework
    has one; `directory` is where the contract's files stand.
    """

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    directory: str
    rendezvous: tuple[str, int] | None = None
    cores_per_worker: float = 1.0

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self.hosts)

    @property
    def addresses(self) -> tuple[str, ...]:
        """host:port of every rank."""
        return tuple(f"{host}:{port}" for host, port in zip(self.hosts, self.ports, strict=True))

    @property
    def threads(self) -> int:
        """Whole threads for one worker, at least one."""
        return max(1, int(self.cores_per_worker))


class Contract(Protocol):
    """What a framework's workers expect to find.

    A rendezvous is a script of `runtime.rendezvous` that must be up before the workers; a launcher is one process that
    is started and starts the others itself; a node is a script of `runtime.rendezvous` that every worker runs with the
    command as its arguments.
    """

    @property
    def rendezvous_script(self) -> str | None:
        """The script's file name, if the framework has a rendezvous."""
        ...

    @property
    def launcher(self) -> bool:
        """Whether only one process is started."""
        ...

    @property
    def node_script(self) -> str | None:
        """The script's file name, if the framework has a node for each worker."""
        ...

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """Variables of one worker."""
        ...

    def files(self, gang: Gang) -> Mapping[str, str]:
        """Files by name that must stand in the gang's directory before the workers start."""
        ...
