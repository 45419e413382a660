from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import RunCommand
from plimsoll.planning.steps import Step, WorkerResources
from plimsoll.targets.local.session import LocalSession

Run = Callable[..., list[Observation]]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LocalSession]:
    target = LocalSession(tmp_path, "run-1")
    target.state.make()
    yield target
    target.close()


@pytest.fixture
def run(target: LocalSession) -> Run:
    """Runs one command as a step and gives what was observed."""

    def run(command: str, *, key: str = "key", **settings: Any) -> list[Observation]:
        return list(target.start(command_step(command, key=key, **settings), 1))

    return run


def command_step(
    command: str, *, key: str = "key", resources: WorkerResources | None = None, **settings: Any
) -> Step[RunCommand]:
    work = RunCommand(command=command, **settings)
    return Step(part="step", key=key, work=work, resources=resources or WorkerResources())


def processes_of(directory: Path) -> list[int]:
    """Processes that carry the mark of a state directory."""
    mark = f"PLIMSOLL_OUTPUT={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
