"""The contract of targets, held against those that need no cluster."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from plimsoll.kinds.dataset import CommandResult, RunCommand
from plimsoll.planning.steps import AnyStep, Step
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.state.results import OutputFile, Result
from plimsoll.targets.local.target import LocalTarget
from plimsoll.targets.memory import MemoryAttempt, MemoryTarget
from plimsoll.targets.port import Target
from plimsoll.targets.several.target import SeveralTarget

from .contract import Bench, TargetContract


def bench_of(target: Target, directory: Path) -> Bench:
    """Commands that this machine carries out."""
    numbers = itertools.count()

    def command(text: str, *outputs: str) -> AnyStep:
        work = RunCommand(command=text, outputs=outputs)
        return Step(part="step", key=f"key-{next(numbers)}", work=work)

    mark = directory / "started"
    return Bench(
        target=target,
        good=lambda: command("echo hello > $PLIMSOLL_OUTPUT/greeting.txt", "greeting.txt"),
        failing=lambda: command("echo 'no such column: age' >&2; exit 3"),
        endless=lambda: command(f"touch {mark}; sleep 600"),
        started=mark.exists,
    )


class TestLocal(TargetContract):
    """This machine, with real processes."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return bench_of(LocalTarget(tmp_path), tmp_path)


class TestSeveral(TargetContract):
    """Several targets as one, of which this machine carries the steps out."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return bench_of(SeveralTarget("a", tmp_path, {LOCAL: LocalTarget(tmp_path)}, {LOCAL: LOCAL}), tmp_path)


class TestMemory(TargetContract):
    """Functions."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        numbers = itertools.count()
        running = threading.Event()

        def step(part: str) -> AnyStep:
            return Step(part=part, key=f"{part}-{next(numbers)}", work=RunCommand(command=part))

        def good(_: MemoryAttempt) -> Result:
            return CommandResult(outputs=(OutputFile(name="greeting.txt", size=6),))

        def failing(_: MemoryAttempt) -> Result:
            raise RuntimeError("no such column: age")

        def endless(attempt: MemoryAttempt) -> Result:
            running.set()
            assert attempt.stopping.wait(60)
            return CommandResult()

        functions = {"run/good": good, "run/failing": failing, "run/endless": endless}
        return Bench(
            target=MemoryTarget(functions=functions, state=StateDirectory(tmp_path, "memory")),
            good=lambda: step("good"),
            failing=lambda: step("failing"),
            endless=lambda: step("endless"),
            started=running.is_set,
        )
