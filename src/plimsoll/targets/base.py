"""The port between the engine and the world: the few methods that every target offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Step

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.state.directory import StateDirectory
    from plimsoll.telemetry.drift.state import DriftState


class Handle(Struct, frozen=True, kw_only=True):
    """One attempt at one step on a target. `attempt` counts from 1 within a run."""

    step: Step
    attempt: int


class Target(Protocol):
    """What the engine asks of a target. Every method may be called from any thread."""

    def facts(self) -> Facts:
        """What is there: resources, providers, versions."""
        ...

    def result(self, step: Step) -> Mapping[str, Any] | None:
        """The result of a step that has been finished with this key, in this run or an earlier one."""
        ...

    def start(self, step: Step, attempt: int) -> Handle:
        """Begin the step. A step that trains goes on from its last checkpoint. Raises PlimsollError when it cannot."""
        ...

    def observe(self, handle: Handle) -> Iterator[Observation]:
        """What happens, as it happens; the last observation is always `attempt-ended` (see `engine.history`)."""
        ...

    def stop(self, handle: Handle) -> None:
        """End the attempt and everything it started; `observe` then ends within seconds."""
        ...


class Session(Target, Protocol):
    """A target for the time of one run."""

    def begin(self) -> int:
        """Make ready, and end what a killed run left; gives the number of processes that were ended."""
        ...

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services that have died since the last call and are to be started again: name and how they ended."""
        ...

    def up(self) -> Mapping[str, str]:
        """Addresses of the services that are up, by name."""
        ...

    def close(self) -> None:
        """End what belongs to the run."""
        ...


class Site(Protocol):
    """Where an application is carried out: one for this machine, one for each Kubernetes context."""

    @property
    def name(self) -> str:
        """What `--target` says."""
        ...

    @property
    def state(self) -> StateDirectory:
        """What runs there keep on this machine."""
        ...

    def facts(self) -> Facts:
        """What is there. Raises TargetError when it cannot be reached."""
        ...

    def finished(self, step: Step) -> bool:
        """Whether a step need not run again, as far as can be told without starting anything."""
        ...

    def open(self, run: str, *, watch: bool) -> Session:
        """Begin a run. Only for the holder of the lock."""
        ...

    def services(self) -> Mapping[str, str]:
        """Addresses of the services that are up, by name."""
        ...

    def service_file(self, service: str) -> Path | None:
        """The file of this machine that a running service reads its weights from, where there is one."""
        ...

    def drift(self, service: str) -> Sequence[DriftState]:
        """How the features of a service's versions stand; nothing for one that is not watched."""
        ...

    def remove(self) -> list[str]:
        """Take away what stays up without a run; gives what it was."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
