"""Runs a gang of processes: all start or none does, and when one fails the others are stopped within seconds."""

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
from plimsoll.runtime.start_problem import shell_start_problem
from plimsoll.state.logs import last_log_line
from plimsoll.targets.attempt import W
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.isolation import Apart
from plimsoll.targets.local.limits import WorkerLimits
from plimsoll.targets.local.memory_watch import session_memory
from plimsoll.targets.local.warden import Process, ProcessEnd

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL; an interrupted run may take five seconds in all."""
_NOT_STARTED = (126, 127)
"""The statuses by which a shell says that a program did not start."""
MEMORY_INTERVAL = 0.5
"""Seconds between two memory checks where the kernel does not enforce the limit."""


class Command(Struct, frozen=True, kw_only=True):
    """One process to start."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    resources: WorkerResources = WorkerResources()


class _Worker:
    def __init__(
        self, rank: int, process: Process, limits: WorkerLimits, resources: WorkerResources, log: Path, shell: str
    ) -> None:
        self.shell = shell
        self.rank = rank
        self.process = process
        self.limits = limits
        self.resources = resources
        self.log = log
        self.end: ProcessEnd | None = None


def run_together(
    attempt: LocalAttempt[W],
    commands: Sequence[Command],
    timeout: float | None = None,
    apart: Apart | None = None,
) -> Generator[Observation, None, str]:
    """Run the commands as one gang, with ranks in their order; returns why it failed, or an empty text.

    `timeout` is in seconds. `apart` is the sandbox that they run in; without one they run as plimsoll itself.
    Raises TargetError when a command cannot be started, after stopping the others.
    """
    workers: list[_Worker] = []
    reason = ""
    try:
        for rank, command in enumerate(commands):
            workers.append(_start(attempt, rank, command, apart))
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
    if reason and apart is not None and not attempt.stopped and (told := _told(apart, workers)):
        return f"{reason} ({told})"
    return reason


def _told(apart: Apart, workers: Sequence[_Worker]) -> str:
    """What the sandbox has refused the workers that failed."""
    ends = [worker for worker in workers if worker.end is not None and not worker.end.succeeded]
    return next((told for worker in ends if (told := apart.told(worker.log))), "")


def _start(attempt: LocalAttempt[W], rank: int, command: Command, apart: Apart | None) -> _Worker:
    limits = WorkerLimits(f"{attempt.step.key[:16]}-{rank}", command.resources)
    log = attempt.log(rank)
    try:
        process = (apart.warden if apart is not None else attempt.context.warden).spawn(
            command.argv,
            environment=apart.environment(command.environment) if apart is not None else command.environment,
            directory=attempt.context.directory,
            log=log,
            mark=command.environment["PLIMSOLL_OUTPUT"],
            on_end=attempt.on_end(rank),
            cgroups=limits.groups,
        )
    except TargetError:
        limits.remove()
        raise
    shell = command.argv[2] if [*command.argv[:2]] == ["sh", "-c"] else ""
    return _Worker(rank, process, limits, command.resources, log, shell)


def _until_end(
    attempt: LocalAttempt[W], workers: Sequence[_Worker], timeout: float | None
) -> Generator[Observation, None, str]:
    """Wait until all have succeeded, one has failed, the time is up, or the attempt must stop."""
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
                    return _memory_reason(worker, len(workers))
            continue
        rank, end = event
        workers[rank].end = end
        if not end.succeeded:
            return _failure_reason(workers[rank], len(workers), attempt.context.directory)
    yield from ()
    return ""


def _next_event(attempt: LocalAttempt[W], deadline: float | None, *, watching: bool) -> tuple[int, ProcessEnd] | None:
    wait = MEMORY_INTERVAL if watching else None
    if deadline is not None:
        left = max(0.0, deadline - time.monotonic())
        wait = left if wait is None else min(wait, left)
    try:
        return attempt.events.get(timeout=wait)
    except queue.Empty:
        return None


def _end_all(attempt: LocalAttempt[W], workers: Sequence[_Worker]) -> None:
    """Send SIGTERM, then SIGKILL, to running workers; returns when their ends were reported."""
    for number, limit in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        left = [worker for worker in workers if worker.end is None]
        for worker in left:
            worker.process.send(number)
        deadline = time.monotonic() + limit
        while any(worker.end is None for worker in left) and time.monotonic() < deadline:
            event = _next_event(attempt, deadline, watching=False)
            if event is not None:
                workers[event[0]].end = event[1]


def _failure_reason(worker: _Worker, size: int, directory: Path) -> str:
    end = worker.end or ProcessEnd(lost=True)
    if worker.limits.ran_out_of_memory():
        return _memory_reason(worker, size)
    subject = f"worker {worker.rank} " if size > 1 else ""
    if end.code in _NOT_STARTED and worker.shell and (problem := shell_start_problem(worker.shell, directory)):
        return f"{subject}{end.description()}: {problem}"
    last_line = last_log_line(worker.log)
    return f"{subject}{end.description()}{': ' + last_line if last_line else ''}"


def _memory_reason(worker: _Worker, size: int) -> str:
    subject = f"worker {worker.rank}" if size > 1 else "the command"
    return f"{subject} used more than its memory of {(worker.resources.memory or 0) / 2**20:.0f} MiB and was killed"


def _worker_ended(attempt: LocalAttempt[W], worker: _Worker) -> Observation:
    end = worker.end or ProcessEnd(lost=True)
    return attempt.seen(worker_ended(attempt.number, worker.rank, end))


def worker_ended(attempt: int, rank: int, end: ProcessEnd) -> WorkerEnded:
    """The end of a process as a run event."""
    return WorkerEnded(
        attempt=attempt,
        rank=rank,
        code=end.code,
        signal=end.signal,
        cpu_seconds=round(end.cpu_seconds, 3),
        peak_memory=end.peak_memory,
    )
