"""The process of a pod: what it leaves in a real registry, and with which status it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.runtime.errand import VARIABLE, Errand
from tests.servers import registry as registry_process

POD = """
import sys
from plimsoll.runtime.pod import __main__ as pod, store
pod.WORK = store.WORK = sys.argv[1]
pod.main()
"""
OBLIGING = """
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server")) as reference:
        yield reference


def started(server: Reference, directory: Path, key: str, seconds: float) -> subprocess.Popen[bytes]:
    """A pod's process whose command has left half of its output, and leaves the rest after so many seconds."""
    script, begun = directory / "obliging.py", directory / "begun"
    script.write_text(OBLIGING)
    errand = Errand(
        do="train",
        step="run/half",
        key=key,
        command=f"{sys.executable} {script} {begun} {seconds}",
        result=f"{server.below('app', 'results').name}:{key}",
        checkpoint=f"{server.below('app', 'checkpoints').name}:{key}",
    )
    running = subprocess.Popen(
        [sys.executable, "-c", POD, str(directory / "work")], env={**os.environ, VARIABLE: errand.encoded()}
    )
    deadline = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def left(server: Reference, key: str) -> object:
    with Repository(server.below("app", "results")) as repository:
        found = artifacts.facts(repository, key)
        return found and [each["name"] for each in found[1]["outputs"]]


def test_who_ends_well_leaves_its_output(server: Reference, tmp_path: Path) -> None:
    assert started(server, tmp_path, "whole", 0.1).wait(30) == 0
    assert left(server, "whole") == ["half", "whole"]


def test_who_ends_well_because_it_was_asked_to_end_leaves_a_checkpoint_and_no_result(
    server: Reference, tmp_path: Path
) -> None:
    running = started(server, tmp_path, "half", 60)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 128 + signal.SIGTERM
    assert left(server, "half") is None
    with Repository(server.below("app", "checkpoints")) as repository:
        assert artifacts.pull(repository, "half", tmp_path / "kept")
    assert (tmp_path / "kept" / "step").read_text() == "1"
