"""Random histories of two people, two applications and a stranger: nothing of anybody else's is touched."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition, StopTest
from hypothesis.stateful import run_state_machine_as_test

from plimsoll.targets.kubernetes import cleanup, own_objects
from tests.targets.kubernetes.bench import Bench
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.histories import Histories
from tests.targets.kubernetes.scene import MemoryStage

pytestmark = pytest.mark.slow


def histories(
    new_bench: NewBench, place: Path, monkeypatch: pytest.MonkeyPatch, *, count: int, steps: int, repeatable: bool
) -> None:
    """Try so many histories of so many steps, each on a cluster of its own."""
    monkeypatch.setattr(cleanup, "_LOOK", 0.02)
    monkeypatch.setattr(own_objects, "_LOOK", 0.02)
    begun: list[Bench] = []
    failed: list[BaseException] = []

    class OnABench(Histories):
        """Each history has a bench of its own."""

        def __init__(self) -> None:
            begun.append(new_bench())
            super().__init__(MemoryStage(begun[-1]), place / str(len(begun)))

        def teardown(self) -> None:
            error = sys.exc_info()[1]
            if error is not None and not isinstance(error, (StopTest, FlakyStrategyDefinition)):
                failed.append(error)
            super().teardown()

    while len(begun) < count and not failed:
        # Controllers have threads, so that the same choices may meet another cluster. Hypothesis ends when they do,
        # which says nothing about what people did; the rest of the histories are begun anew.
        with contextlib.suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(
                OnABench,
                settings=settings(
                    max_examples=count - len(begun),
                    stateful_step_count=steps,
                    deadline=None,
                    derandomize=repeatable,
                    database=None,
                    # What fails is told as it came: to make it shorter takes as long again many times.
                    phases=(Phase.generate,),
                    suppress_health_check=list(HealthCheck),
                ),
            )
    if failed:
        raise failed[0]
    assert len(begun) >= count


def test_whatever_people_do_nobody_s_things_are_touched_by_another(
    new_bench: NewBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories(new_bench, tmp_path, monkeypatch, count=3, steps=8, repeatable=True)


@pytest.mark.series
@pytest.mark.timeout(3600)
def test_whatever_people_do_a_hundred_times_nobody_s_things_are_touched_by_another(
    new_bench: NewBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories(new_bench, tmp_path, monkeypatch, count=100, steps=30, repeatable=False)
