"""One attempt at one step on this machine: its directories, its events, and the storage of its result."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from plimsoll.planning.steps import Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, W
from plimsoll.targets.local.sandboxes import Sandboxes
from plimsoll.targets.local.servers import Server
from plimsoll.targets.local.warden import ProcessEnd, Warden


class LocalContext(Struct, frozen=True, kw_only=True):
    """The context that all attempts of a run share. `directory` holds the application file, `logs` belongs to the run.

    `kept` maps a service to the server that runs as long as the run watches. `forced` are the names of steps that are
    carried out again although they have results. `sandboxes` has the one that steps share.
    """

    directory: Path
    state: StateDirectory
    warden: Warden
    run: str
    logs: Path
    watch: bool = False
    kept: dict[str, Server] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()
    sandboxes: Sandboxes = field(default_factory=Sandboxes)


class LocalAttempt(Attempt[W]):
    """An attempt on this machine. `events` has the end of each process by rank, and `None` to stop the attempt.

    `directory` becomes the result; `output` in it is for files of rank 0.
    """

    source = "local"

    def __init__(
        self,
        step: Step[W],
        number: int,
        context: LocalContext,
        execute: Callable[[LocalAttempt[W]], Progress],
    ) -> None:
        super().__init__(step, number)
        self.context = context
        self.directory = context.state.work / step.key
        self.output = self.directory / "output"
        self.events: queue.Queue[tuple[int, ProcessEnd] | None] = queue.Queue()
        self._execute = execute

    @property
    def where(self) -> str:
        """The attempt's directory."""
        return str(self.directory)

    @property
    def checkpoints(self) -> Path:
        """The directory that survives from one attempt to the next."""
        return self.context.state.checkpoints / self.step.key

    def log(self, process: str | int) -> Path:
        """The log file of a process of this attempt."""
        return self.context.state.log(self.context.run, self.step.name, self.number, process)

    def stop(self) -> None:
        """Stop the attempt; its processes are killed within seconds."""
        super().stop()
        self.events.put(None)

    def on_end(self, rank: int) -> Callable[[ProcessEnd], None]:
        """A callback that adds the end of a process to `events`."""
        return lambda end: self.events.put((rank, end))

    def perform(self) -> Progress:
        """Do the work."""
        return self._execute(self)

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Store the directory of a finished attempt as the result; of a failed one, keep its logs and curve alone."""
        if self.stopped:
            # A command that was stopped may have written incomplete files.
            return STOPPED
        if outcome.state == "done":
            self.context.state.commit(self.step.key, outcome.result)
        elif outcome.state == "failed":
            with contextlib.suppress(OSError):
                self.context.state.discard_work(self.step.key)
        return outcome
