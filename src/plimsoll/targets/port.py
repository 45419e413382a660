"""The port between the engine and the world: the interface of every target. It knows no target by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result

if TYPE_CHECKING:
    from plimsoll.targets.features import Features
    from plimsoll.telemetry.drift.state import DriftState


class RunningAttempt(Protocol):
    """One attempt at one step. It runs while it is iterated."""

    def __iter__(self) -> Iterator[Observation]:
        """Observations as they happen; the last one is always attempt-ended."""
        ...

    def stop(self) -> None:
        """Stop the attempt and everything it started; its iteration ends within seconds. Safe from any thread."""
        ...


class RunRequest(Struct, frozen=True, kw_only=True):
    """What a run is to those who use the same target: the digest of its plan, and its number in its directory.

    `say` tells its user something about the run as a whole; `stopped` says whether they have given up meanwhile.
    `forced` are the steps that are carried out although they have results. `record` writes what is observed beside the
    attempts to the journal, once that has the plan.
    """

    content: str
    number: int = 0
    say: Callable[[str], None] = lambda _: None
    stopped: Callable[[], bool] = lambda: False
    forced: frozenset[str] = frozenset()
    record: Callable[[Observation], None] = lambda _: None


class Session(Protocol):
    """A target during one run. Every method may be called from any thread."""

    def begin(self, request: RunRequest | None = None) -> int:
        """Prepare the session and clean up after a killed run; returns the number of processes that were ended.

        Only the holder of the run's lock may call it. Where others use the target too, a run with a request excludes
        runs of other content, and watches one of the same content that goes on already. Raises TargetError while
        another goes on.
        """
        ...

    def joined(self) -> str:
        """Whose run of the same content this one watches and lets go of at its end; empty for none."""
        ...

    def steps_ended(self) -> None:
        """The steps have ended: what the session does from here on is in nobody's way."""
        ...

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step that need not run again, read from its storage; None for a step that must run."""
        ...

    def fetch(self, step: AnyStep) -> None:
        """Fetch the files of a finished step to this machine, if its work has `kept_here`."""
        ...

    def start(self, step: AnyStep, attempt: int) -> RunningAttempt:
        """Create an attempt, counted from 1. Training resumes from its last checkpoint.

        Raises PlimsollError when it cannot start.
        """
        ...

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services that died since the last call and must be restarted: name, and how each one ended."""
        ...

    def close(self) -> None:
        """Stop everything that belongs to the run."""
        ...


class Target(Protocol):
    """A place that runs applications: this machine, a Kubernetes context, or memory for tests."""

    @property
    def name(self) -> str:
        """The name for `--target`."""
        ...

    @property
    def state(self) -> StateDirectory:
        """The state directory, on this machine, of runs on the target."""
        ...

    @property
    def features(self) -> Features:
        """The features of this target."""
        ...

    def facts(self) -> TargetFacts:
        """The facts of the target. Raises TargetError when it cannot be reached."""
        ...

    def open(self, run: str, *, watch: bool) -> Session:
        """A session for one run; with `watch`, services run until it is closed. Nothing starts before `begin`."""
        ...

    def services(self) -> Mapping[str, str]:
        """Addresses of the running services, by name."""
        ...

    def service_notes(self, service: str) -> Sequence[str]:
        """Notes about a running service, for example a running promotion; one sentence each."""
        ...

    def waits(self) -> Sequence[str]:
        """What of the application does not go on, apart from a run of this machine, and why; one sentence each."""
        ...

    def run_note(self) -> str:
        """Whose run of the application goes on that this directory has not started, in a sentence; empty without."""
        ...

    def drift(self, service: str) -> Sequence[DriftState]:
        """The drift of a service's versions; empty for a service without a drift reference."""
        ...

    def problems(self) -> Mapping[str, str]:
        """Services that should run and cannot be reached, by name, with the reason in one sentence."""
        ...

    def remove(
        self,
        say: Callable[[str], None] = lambda _: None,
        *,
        force: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> list[str]:
        """Delete the services that outlive a run; returns the names of the deleted objects.

        `say` gets a sentence for everything that could be thought to go and stays.

        Raises TargetError while somebody else's run goes on, unless `force` takes the application from it; `waiting`
        gets what is waited for.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...
