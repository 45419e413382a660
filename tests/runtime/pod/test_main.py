"""The process of a pod: its exit status, and its output in a real registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.kinds.train import TrainResult
from plimsoll.kubernetes.cluster import RegistryPlace
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod_task import TASK_VARIABLE, PodTask
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes.results import RegistryResults
from tests.runtime.conftest import until

POD = """
import sys
from plimsoll.runtime.pod import __main__ as pod, store
pod.WORK = store.WORK = sys.argv[1]
pod.main()
"""
CHECKPOINTING = """
import os, pathlib, signal, sys, time
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
def end(*_):
    pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"], "step").write_text("1")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(output / "half").write_text("1")
pathlib.Path(sys.argv[1]).touch()
time.sleep(float(sys.argv[2]))
(output / "whole").write_text("2")
"""

BUSY = """
import os, pathlib, time
kept = pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"])
for step in range(90):
    time.sleep(0.4)
    (kept / ".last").write_text(str(step))
    (kept / ".last").rename(kept / "last")
"""


def started(registry: Reference, directory: Path, key: str, seconds: float) -> subprocess.Popen[bytes]:
    """A pod's process whose command has written half of its output, and writes the rest after some seconds."""
    script, begun = directory / "obliging.py", directory / "begun"
    script.write_text(CHECKPOINTING)
    task = PodTask(
        action="train",
        step="run/half",
        key=key,
        command=f"{sys.executable} {script} {begun} {seconds}",
        result=f"{registry.below('app', 'results').name}:{key}",
        checkpoint=f"{registry.below('app', 'checkpoints').name}:{key}",
    )
    running = subprocess.Popen(
        [sys.executable, "-c", POD, str(directory / "work")], env={**os.environ, TASK_VARIABLE: task.encoded()}
    )
    until(begun.exists)
    return running


def left(registry: Reference, key: str) -> object:
    with Repository(registry.below("app", "results")) as repository:
        found = artifacts.read_facts(repository, key)
        return found and [each["name"] for each in found[1]["outputs"]]


def test_the_curve_of_a_training_goes_on_over_its_attempts(registry: Reference, tmp_path: Path) -> None:
    def attempt(number: int, steps: range, status: int) -> int:
        directory = tmp_path / str(number)
        directory.mkdir()
        script = directory / "train.py"
        points = "".join(f'{{"step": {step}, "loss": {number}}}\n' for step in steps)
        script.write_text(
            "import os, pathlib, sys\n"
            f"pathlib.Path(os.environ['PLIMSOLL_OUTPUT'], 'metrics.jsonl').write_text({points!r})\n"
            f"sys.exit({status})\n"
        )
        task = PodTask(
            action="train",
            step="train/m",
            key="curved",
            command=f"{sys.executable} {script}",
            result=f"{registry.below('app', 'results').name}:curved",
            checkpoint=f"{registry.below('app', 'results').name}:checkpoint-curved",
            curve=f"{registry.below('app', 'results').name}:curve-curved",
        )
        argv = [sys.executable, "-c", POD, str(directory / "work")]
        environment = {**os.environ, TASK_VARIABLE: task.encoded()}
        return subprocess.run(argv, env=environment, timeout=50, check=False).returncode

    assert attempt(1, range(1, 4), 3) == 3
    assert attempt(2, range(3, 5), 0) == 0
    with Repository(registry.below("app", "results")) as repository:
        results = RegistryResults(repository, RegistryPlace(pods="", nodes=""), "app/results")
        state = StateDirectory(tmp_path)
        state.make()
        results.fetch("curved", TrainResult, state)
        assert state.curve("curved")["loss"] == ((1, 1), (2, 1), (3, 2), (4, 2))
        results.begin_anew("curved")
        assert artifacts.pull(repository, "curve-curved", tmp_path / "anew")
        assert list((tmp_path / "anew").iterdir()) == []


@pytest.mark.slow
def test_the_points_of_a_training_are_told_while_it_goes_on(registry: Reference, tmp_path: Path) -> None:
    script, over = tmp_path / "train.py", tmp_path / "over"
    script.write_text(
        "import os, pathlib, time\n"
        "path = pathlib.Path(os.environ['PLIMSOLL_OUTPUT'], 'metrics.jsonl')\n"
        'path.write_text(\'{"step": 1, "loss": 5}\\n\')\n'
        f"while not pathlib.Path({str(over)!r}).exists(): time.sleep(0.05)\n"
        "path.open('a').write('{\"step\": 2, \"loss\": 4}\\n')\n"
    )
    task = PodTask(
        action="train",
        step="train/m",
        key="live",
        command=f"{sys.executable} {script}",
        result=f"{registry.below('app', 'results').name}:live",
        curve=f"{registry.below('app', 'results').name}:curve-live",
    )
    argv = [sys.executable, "-c", POD, str(tmp_path / "work")]
    running = subprocess.Popen(argv, env={**os.environ, TASK_VARIABLE: task.encoded()})
    state = StateDirectory(tmp_path)
    state.make()
    with Repository(registry.below("app", "results")) as repository:
        results = RegistryResults(repository, RegistryPlace(pods="", nodes=""), "app/results")
        until(lambda: results.fetch_points("live", state) != "")
        first = results.fetch_points("live", state)
        assert state.curve("live") == {"loss": ((1, 5),)}
        over.touch()
        assert running.wait(50) == 0
        assert results.fetch_points("live", state, first) not in ("", first)
        assert state.curve("live") == {"loss": ((1, 5), (2, 4))}


@pytest.mark.slow
def test_a_successful_command_pushes_its_output(registry: Reference, tmp_path: Path) -> None:
    assert started(registry, tmp_path, "whole", 0.1).wait(30) == 0
    assert left(registry, "whole") == ["half", "whole"]


def test_a_command_that_succeeds_after_a_signal_pushes_a_checkpoint_and_no_result(
    registry: Reference, tmp_path: Path
) -> None:
    running = started(registry, tmp_path, "half", 60)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 128 + signal.SIGTERM
    assert left(registry, "half") is None
    with Repository(registry.below("app", "checkpoints")) as repository:
        assert artifacts.pull(repository, "half", tmp_path / "kept")
    assert (tmp_path / "kept" / "step").read_text() == "1"


@pytest.mark.slow
def test_the_checkpoints_of_a_training_that_writes_all_the_time_outlive_its_pod(
    registry: Reference, tmp_path: Path
) -> None:
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    task = PodTask(
        action="train",
        step="run/busy",
        key="busy",
        command=f"{sys.executable} {script}",
        result=f"{registry.below('app', 'results').name}:busy",
        checkpoint=f"{registry.below('app', 'checkpoints').name}:busy",
    )
    running = subprocess.Popen(
        [sys.executable, "-c", POD, str(tmp_path / "work")], env={**os.environ, TASK_VARIABLE: task.encoded()}
    )
    found = tmp_path / "found"
    with Repository(registry.below("app", "checkpoints")) as repository:
        try:
            until(lambda: bool(repository.has_manifest("busy")), limit=30)
        finally:
            running.kill()
            running.wait()
        artifacts.pull(repository, "busy", found)
    assert int((found / "last").read_text()) > 1
