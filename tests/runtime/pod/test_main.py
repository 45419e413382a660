"""The process of a pod: its exit status, and its output in a real registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod_task import TASK_VARIABLE, PodTask
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
