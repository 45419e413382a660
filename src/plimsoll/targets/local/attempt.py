"""One attempt at one step on this machine: where it works, what it has been told, how it ends."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from plimsoll.evidence.observation import Observation, observed
from plimsoll.planning.steps import Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.servers import Server
from plimsoll.targets.local.warden import Ended, Warden

SOURCE = "local"


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt ended: `done`, `failed` or `stopped`; why; and what it gave.

    `lasting` is a failure that a new attempt would only repeat.
    """

    state: str
    reason: str = ""
    result: dict[str, Any] = {}
    lasting: bool = False


class Context(Struct, frozen=True, kw_only=True):
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


Progress = Generator[Observation, None, Outcome]
"""What a piece of work gives: observations as they happen, and its outcome in the end."""


class Attempt:
    """What a piece of work needs to do its part. `events` carries ends of processes, and `None` when it must stop."""

    def __init__(self, step: Step, number: int, context: Context) -> None:
        self.step = step
        self.number = number
        self.context = context
        self.events: queue.Queue[tuple[int, Ended] | None] = queue.Queue()
        self.stopped = False

    @property
    def directory(self) -> Path:
        """The attempt's own directory; it becomes the result."""
        return self.context.state.work / self.step.key

    @property
    def output(self) -> Path:
        """Where rank 0 leaves files."""
        return self.directory / "output"

    @property
    def checkpoints(self) -> Path:
        """What survives from one attempt to the next."""
        return self.context.state.checkpoints / self.step.key

    def log(self, name: str | int) -> Path:
        """The file that a process of this attempt writes to."""
        path = self.context.logs / self.step.verb / self.step.part / f"{self.number}-{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def stop(self) -> None:
        """Ask the attempt to end."""
        self.stopped = True
        self.events.put(None)

    def ended(self, rank: int) -> Callable[[Ended], None]:
        """A function that tells this attempt of the end of a process."""
        return lambda end: self.events.put((rank, end))

    def seen(self, event: str, **values: Any) -> Observation:
        """An observation of this attempt."""
        return observed(SOURCE, self.step.name, event, attempt=self.number, **values)


def failed(reason: str, *, lasting: bool = False) -> Outcome:
    """The outcome of an attempt that did not succeed."""
    return Outcome(state="failed", reason=reason, lasting=lasting)
