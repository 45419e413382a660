"""Progress of a run: one line when a step starts or ends, and a heartbeat line for long steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from plimsoll.cli.rows import amount, value_text
from plimsoll.cli.terminal import one_line
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import (
    AttemptFailed,
    Carried,
    RendezvousReady,
    RunEvent,
    RunPlanned,
    StepEnded,
    StepsAdded,
    StepStarted,
    Told,
    TrialBegun,
    TrialEnded,
    Waiting,
    event_of,
    listed_targets,
)
from plimsoll.kinds.table import KINDS
from plimsoll.state.logs import last_log_line
from plimsoll.state.results import Result, result_from_json

HEARTBEAT = 10.0
"""Seconds between two heartbeat lines of running steps."""


class ProgressPrinter:
    """An engine listener that prints one line per event. `results` maps a verb to its type of result."""

    def __init__(
        self, write: Callable[[str], None], logs: Path, results: Mapping[str, type[Result]] | None = None
    ) -> None:
        self._print_line = write
        self._unread = False
        self._logs = logs
        self._results = KINDS.results if results is None else results
        self._lock = threading.Lock()
        self._running: dict[str, datetime] = {}
        self._names: Mapping[str, str] = {}
        self._name_width = 0
        self._closed = threading.Event()
        threading.Thread(target=self._print_heartbeats, daemon=True, name="progress").start()

    def __call__(self, seen: Observation) -> None:
        """Print a line for an observation that users should see."""
        event = event_of(seen)
        if event is not None:
            with self._lock:
                self._print(seen.subject, event, seen.at)

    def _print(self, step: str, event: RunEvent, at: datetime) -> None:
        match event:
            case RunPlanned():
                self._planned(event)
            case StepsAdded():
                self._name_width = max([self._name_width, *(len(step.name) for step in event.steps)])
            case TrialBegun():
                values = "  ".join(f"{name}={value_text(value)}" for name, value in event.parameters.items())
                self._write(one_line(f"trial {event.number}  {values}"))
            case TrialEnded():
                how = f"{event.value:.6g}" if event.value is not None else event.state
                words = filter(None, [f"trial {event.number}", how, *event.refusals, event.reason])
                self._write(one_line("  ".join(words)))
            case Told():
                self._write(one_line(event.text))
            case StepStarted():
                self._running[step] = at
                self._line("▸", step, "started")
            case RendezvousReady():
                self._line("·", step, f"rendezvous at {event.address}")
            case Waiting():
                self._line("·", step, f"waiting: {event.reason}")
            case Carried():
                origin, to = (self._names.get(each, each) for each in (event.origin, event.to))
                self._line("→", step, f"{event.step} went from {origin} to {to}: {amount(event.size)}")
            case AttemptFailed(again_in=float() as pause):
                self._line("!", step, f"{event.reason}; retry in {pause:g} s")
            case StepEnded():
                self._ended(step, event, at)

    def close(self) -> None:
        """Stop the heartbeat lines."""
        self._closed.set()

    def _write(self, text: str) -> None:
        """Print a line as long as somebody can read it: the work is worth more than its progress."""
        if not self._unread:
            try:
                self._print_line(text)
            except OSError:
                self._unread = True

    def _line(self, sign: str, step: str, text: str) -> None:
        self._write(f"  {sign} {step:<{self._name_width}}  {one_line(text)}".rstrip())

    def _planned(self, event: RunPlanned) -> None:
        self._name_width = max((len(step.name) for step in event.steps), default=0)
        self._names = event.names
        self._write(f"{event.application} on {listed_targets(event.target, event.names)}, run {event.run}")
        if event.left_over:
            self._write(f"  ended {event.left_over} processes that an interrupted run left behind")

    def _ended(self, step: str, event: StepEnded, at: datetime) -> None:
        began = self._running.pop(step, None)
        # By the times of the observations: whoever attaches later is told of what has happened before.
        took = f"{max(0.0, (at - began).total_seconds()):.1f} s" if began is not None else ""
        if event.state == "done":
            shape = self._results.get(step.partition("/")[0], Result)
            result = result_from_json(event.result, shape) or Result()
            self._line("✓", step, "cached" if event.cached else "  ".join(filter(None, [took, result.figure()])))
            for note in result.notes:
                self._line("!", step, note)
        elif event.state == "failed":
            self._line("✗", step, f"failed: {event.reason}")
            for line in _tail(self._logs / step):
                self._write(f"      {one_line(line)}")
        else:
            self._line("-", step, f"{event.state}: {event.reason}")

    def _print_heartbeats(self) -> None:
        while not self._closed.wait(HEARTBEAT):
            with self._lock:
                for step, began in self._running.items():
                    newest = _newest(self._logs / step)
                    last_line = last_log_line(newest, 80) if newest else ""
                    passed = max(0.0, (datetime.now(UTC) - began).total_seconds())
                    self._line("…", step, f"{passed:.0f} s  {last_line}")


def _tail(directory: Path, count: int = 5) -> list[str]:
    """The last `count` lines of the newest log of a step."""
    newest = _newest(directory)
    if newest is None:
        return []
    lines = newest.read_text(encoding="utf-8", errors="replace")[-4000:].splitlines()
    return [line[:200] for line in lines[-count:]]


def _newest(directory: Path) -> Path | None:
    """The log that was written last in the last attempt."""

    def order(log: Path) -> tuple[int, float]:
        attempt = log.name.partition("-")[0]
        return int(attempt) if attempt.isdecimal() else 0, log.stat().st_mtime

    return max(directory.glob("*.log"), key=order, default=None)
