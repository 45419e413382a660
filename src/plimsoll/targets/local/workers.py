"""Processes that belong together: all start or none do, and when one dies the others end within seconds."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import WorkerEnded, WorkerStarted
from plimsoll.planning.steps import WorkerResources
from plimsoll.state.logs import last_words
from plimsoll.targets.attempt import W
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.limits import Limits
from plimsoll.targets.local.memory_watch import session_memory
from plimsoll.targets.local.warden import Ended, Process

GRACE = 2.0
"""Seconds between asking a process to end and killing it: within the five that an interrupted run may take."""
WATCH = 0.5
"""Seconds between two looks at memory where the kernel does not limit it."""


class Command(Struct, frozen=True, kw_only=True):
    """One process to start."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    resources: WorkerResources = WorkerResources()


class _Worker:
    def __init__(self, rank: int, process: Process, limits: Limits, resources: WorkerResources, log: Path) -> None:
        self.rank = rank
        self.process = process
        self.limits = limits
        self.resources = resources
        self.log = log
        self.end: Ended | None = None


def run_together(
    attempt: LocalAttempt[W], commands: Sequence[Command], timeout: float | None = None
) -> Generator[Observation, None, str]:
    """Run the commands as one gang, rank by place; gives the reason of the failure, empty when all ended well.

    `timeout` is in seconds. Raises TargetError when one cannot be started; those already started are then ended.
    """
    workers: list[_Worker] = []
    reason = ""
    try:
        for rank, command in enumerate(commands):
            workers.append(_start(attempt, rank, command))
        for worker in workers:
            limited = tuple(worker.limits.enforced)
            yield attempt.seen(
                WorkerStarted(attempt=attempt.number, rank=worker.rank, pid=worker.process.pid, limited=limited)
            )
        reason = yield from _until_end(attempt, workers, timeout)
    finally:
        _end_all(attempt, workers)
        for worker in workers:
            worker.limits.remove()
    yield from (_worker_ended(attempt, worker) for worker in workers)
    return reason


def _start(attempt: LocalAttempt[W], rank: int, command: Command) -> _Worker:
    limits = Limits(f"{attempt.step.key[:16]}-{rank}", command.resources)
    log = attempt.log(rank)
    try:
        process = attempt.context.warden.spawn(
            command.argv,
            environment=command.environment,
            directory=attempt.context.directory,
            log=log,
            mark=command.environment["PLIMSOLL_OUTPUT"],
            on_end=attempt.on_end(rank),
            cgroups=limits.groups,
        )
    except TargetError:
        limits.remove()
        raise
    return _Worker(rank, process, limits, command.resources, log)


def _until_end(
    attempt: LocalAttempt[W], workers: Sequence[_Worker], timeout: float | None
) -> Generator[Observation, None, str]:
    """Wait until all have ended well, or one has not, or time is up, or the attempt must stop."""
    deadline = time.monotonic() + timeout if timeout is not None else None
    watched = [w for w in workers if w.resources.memory is not None and "memory" not in w.limits.enforced]
    while any(worker.end is None for worker in workers):
        event = _next_event(attempt, deadline, watching=bool(watched))
        if event is None:
            if attempt.stopped:
                return "stopped"
            if deadline is not None and time.monotonic() >= deadline:
                return f"did not end within its time limit of {timeout:g} s"
            for worker in watched:
                if worker.end is None and session_memory(worker.process.pid) > (worker.resources.memory or 0):
                    return _used_too_much(worker, len(workers))
            continue
        rank, end = event
        workers[rank].end = end
        if not end.well:
            return _why(workers[rank], len(workers))
    yield from ()
    return ""


def _next_event(attempt: LocalAttempt[W], deadline: float | None, *, watching: bool) -> tuple[int, Ended] | None:
    wait = WATCH if watching else None
    if deadline is not None:
        left = max(0.0, deadline - time.monotonic())
        wait = left if wait is None else min(wait, left)
    try:
        return attempt.events.get(timeout=wait)
    except queue.Empty:
        return None


def _end_all(attempt: LocalAttempt[W], workers: Sequence[_Worker]) -> None:
    """Ask all that still run to end, then kill; returns when their ends have been seen."""
    for number, limit in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        left = [worker for worker in workers if worker.end is None]
        for worker in left:
            worker.process.send(number)
        deadline = time.monotonic() + limit
        while any(worker.end is None for worker in left) and time.monotonic() < deadline:
            event = _next_event(attempt, deadline, watching=False)
            if event is not None:
                workers[event[0]].end = event[1]


def _why(worker: _Worker, size: int) -> str:
    end = worker.end or Ended(lost=True)
    if worker.limits.ran_out_of_memory():
        return _used_too_much(worker, size)
    who = f"worker {worker.rank} " if size > 1 else ""
    said = last_words(worker.log)
    return f"{who}{end.words()}{': ' + said if said else ''}"


def _used_too_much(worker: _Worker, size: int) -> str:
    who = f"worker {worker.rank}" if size > 1 else "it"
    return f"{who} used more than its memory of {(worker.resources.memory or 0) / 2**20:.0f} MiB and was killed"


def _worker_ended(attempt: LocalAttempt[W], worker: _Worker) -> Observation:
    end = worker.end or Ended(lost=True)
    return attempt.seen(worker_ended(attempt.number, worker.rank, end))


def worker_ended(attempt: int, rank: int, end: Ended) -> WorkerEnded:
    """The end of a process as it is recorded."""
    return WorkerEnded(
        attempt=attempt,
        rank=rank,
        code=end.code,
        signal=end.signal,
        cpu_seconds=round(end.cpu_seconds, 3),
        peak_memory=end.peak_memory,
    )
