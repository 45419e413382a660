"""Creates the Python environment of a requirements file, once for all applications with the same requirements."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting
from plimsoll.kinds.environment import EnvironmentResult, MakeEnvironment
from plimsoll.targets.attempt import STOPPED, Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment
from plimsoll.targets.local.environment_uses import lock_of, record_use
from plimsoll.targets.local.environments import environment_place, is_complete, mark_complete, python_of
from plimsoll.targets.local.workers import Command, run_together

if TYPE_CHECKING:
    from plimsoll.application.requirements import Requirements

WAIT_LIMIT = 1800.0
"""Seconds to wait for a run that creates the same environment: large frameworks take minutes to install."""


def make_environment(attempt: LocalAttempt[MakeEnvironment]) -> Progress:
    """Find the environment in the cache, or create it."""
    from plimsoll.application.requirements import read_requirements

    work = attempt.work
    place = environment_place(attempt.step, attempt.context.directory)
    python = python_of(place)
    found = done(EnvironmentResult(python=str(python)))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_of(place).open("wb")
    except OSError as error:
        if is_complete(place):
            # Nobody removes anything from a cache that cannot be written.
            return found
        raise TargetError(
            f"cannot write the cache of environments: {error.strerror}",
            where=str(place.parent),
            hint="make it writable, or set XDG_CACHE_HOME to a directory that is",
        ) from error
    with lock:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            record_use(place, attempt.context.state, attempt.step.key)
            if is_complete(place):
                return found
        yield from _wait_for(lock, attempt, place)
        if attempt.stopped:
            return STOPPED
        record_use(place, attempt.context.state, attempt.step.key)
        if is_complete(place):
            return found
        shutil.rmtree(place, ignore_errors=True)
        read = read_requirements(attempt.context.directory, work.requirements)
        for argv in _commands(place, python, attempt.context.directory / work.requirements, read):
            reason = yield from run_together(attempt, [Command(argv=argv, environment=_environment(attempt))])
            if reason:
                shutil.rmtree(place, ignore_errors=True)
                return failed(f"the environment of {work.requirements} could not be created: {reason}")
        mark_complete(place)
    return found


def _wait_for(
    lock: IO[bytes], attempt: LocalAttempt[MakeEnvironment], place: Path
) -> Generator[Observation, None, None]:
    deadline = time.monotonic() + WAIT_LIMIT
    reported = False
    while not attempt.stopped:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"another run has been creating this environment for {WAIT_LIMIT:g} s",
                    where=str(place),
                    hint="stop that run, then run again",
                ) from None
            if not reported:
                yield attempt.seen(Waiting(attempt=attempt.number, reason="another run creates the same environment"))
                reported = True
            time.sleep(0.1)
        else:
            return


def _commands(place: Path, python: Path, requirements: Path, read: Requirements) -> list[list[str]]:
    """Commands for uv if it is installed, because it is several times faster; else for venv and pip."""
    uv = None if read.only_pip else shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        # uv takes a local package from its own cache as long as the time of its project file is the same.
        again = ["--refresh"] if read.packages else []
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", *again, "--python", str(python), "-r", str(requirements)],
        ]
    return [
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)],
    ]


def _environment(attempt: LocalAttempt[MakeEnvironment]) -> dict[str, str]:
    return {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
