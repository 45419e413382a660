"""The port between the engine and the world: what every target offers. It knows none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result

if TYPE_CHECKING:
    from plimsoll.targets.features import Features
    from plimsoll.telemetry.drift.state import DriftState


class RunningAttempt(Protocol):
    """One attempt at one step. It is carried out while it is iterated."""

    def __iter__(self) -> Iterator[Observation]:
        """What happens, as it happens; the last observation is always attempt-ended."""
        ...

    def stop(self) -> None:
        """End the attempt and everything it started; its iteration then ends within seconds. Safe from any thread."""
        ...


class Session(Protocol):
    """A target for the time of one run. Every method may be called from any thread."""

    def begin(self) -> int:
        """Make ready, and end what a killed run left; gives the number of processes that were ended.

        Only for the holder of the run's lock.
        """
        ...

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step that need not run again: read back from where it is kept, and not remembered."""
        ...

    def fetch(self, step: AnyStep) -> None:
        """Have the files of a finished step on this machine, where its work says that they are kept here."""
        ...

    def start(self, step: AnyStep, attempt: int) -> RunningAttempt:
        """An attempt, counted from 1. A step that trains goes on from its last checkpoint.

        Raises PlimsollError when it cannot begin.
        """
        ...

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services that have died since the last call and are to be started again: name and how they ended."""
        ...

    def close(self) -> None:
        """End what belongs to the run."""
        ...


class Target(Protocol):
    """Where an application runs: this machine, a Kubernetes context, or one in memory for tests."""

    @property
    def name(self) -> str:
        """What `--target` says."""
        ...

    @property
    def state(self) -> StateDirectory:
        """What runs on the target keep on this machine."""
        ...

    @property
    def features(self) -> Features:
        """What this target can do that not every target can."""
        ...

    def facts(self) -> TargetFacts:
        """What it has. Raises TargetError when it cannot be reached."""
        ...

    def open(self, run: str, *, watch: bool) -> Session:
        """A session for one run; with `watch`, services stay up until it is closed. Nothing begins before `begin`."""
        ...

    def services(self) -> Mapping[str, str]:
        """Addresses of the services that are up, by name."""
        ...

    def service_notes(self, service: str) -> Sequence[str]:
        """What a user should know of a running service, such as a promotion that goes on; one sentence a line."""
        ...

    def drift(self, service: str) -> Sequence[DriftState]:
        """The drift of a service's versions; empty for one that is not watched."""
        ...

    def remove(self) -> list[str]:
        """Delete what stays up without a run; gives what it was."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...
