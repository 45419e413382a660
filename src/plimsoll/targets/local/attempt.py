"""One attempt at one step on this machine: where it works, and what becomes of what it leaves."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from plimsoll.planning.steps import Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, W
from plimsoll.targets.local.servers import Server
from plimsoll.targets.local.warden import Ended, Warden


class LocalContext(Struct, frozen=True, kw_only=True):
    """What all attempts of a run share. `directory` is the application file's own; `logs` belongs to the run.

    `kept` has the servers that stay up for as long as the run watches, by service.
    """

    directory: Path
    state: StateDirectory
    warden: Warden
    run: str
    logs: Path
    watch: bool = False
    kept: dict[str, Server] = field(default_factory=dict)


class LocalAttempt(Attempt[W]):
    """`events` carries ends of processes by rank, and `None` when the attempt must stop."""

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
        self.events: queue.Queue[tuple[int, Ended] | None] = queue.Queue()
        self._execute = execute

    @property
    def directory(self) -> Path:
        """The attempt's own directory; it becomes the result."""
        return self.context.state.work / self.step.key

    @property
    def where(self) -> str:
        """The attempt's own directory."""
        return str(self.directory)

    @property
    def output(self) -> Path:
        """Where rank 0 leaves files."""
        return self.directory / "output"

    @property
    def checkpoints(self) -> Path:
        """What survives from one attempt to the next."""
        return self.context.state.checkpoints / self.step.key

    def log(self, process: str | int) -> Path:
        """The file that a process of this attempt writes to."""
        return self.context.state.log(self.context.run, self.step.name, self.number, process)

    def stop(self) -> None:
        """Ask the attempt to end; its processes are killed within seconds."""
        super().stop()
        self.events.put(None)

    def on_end(self, rank: int) -> Callable[[Ended], None]:
        """A function that tells this attempt of the end of a process."""
        return lambda end: self.events.put((rank, end))

    def perform(self) -> Progress:
        """Do the work."""
        return self._execute(self)

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Make the directory of a finished attempt the result; remove that of a failed one, but not its logs."""
        if self.stopped:
            # What a command leaves that ends because it was asked to may be half of it.
            return STOPPED
        if outcome.state == "done":
            self.context.state.commit(self.step.key, outcome.result)
        elif outcome.state == "failed":
            shutil.rmtree(self.directory, ignore_errors=True)
        return outcome
