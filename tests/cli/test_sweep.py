"""`plimsoll sweep` by the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ENVIRONMENT, Plimsoll, answer, write

MODEL = """\
  parameters: {rate: 0.1, pause: 0.0}
  models:
    m: {train: {run: python train.py}, accept: {score: ">= 0.5"}}
"""
TRAIN = """\
import json, os, pathlib, sys, time
rate, pause = (float(os.environ["PLIMSOLL_PARAM_" + name]) for name in ("RATE", "PAUSE"))
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
with open("trained.txt", "a") as file:
    file.write(f"{rate}\\n")
if rate > 1:
    sys.exit("diverged")
time.sleep(pause)
(output / "metrics.json").write_text(json.dumps({"score": 1 - abs(rate - 0.3)}))
(output / "model.txt").write_text(str(rate))
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path) -> Path:
    write(tmp_path, MODEL, train_py=TRAIN)
    return tmp_path


def trained(directory: Path) -> list[str]:
    return (directory / "trained.txt").read_text().split()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_table_has_every_trial_and_the_winner_is_what_a_run_with_its_values_serves(
    directory: Path, plimsoll: Plimsoll
) -> None:
    swept = plimsoll("sweep", "--grid", "rate=0.1,0.3,0.9,2", "--tag", "best")
    assert swept.returncode == 0, swept.stderr
    table = swept.stdout[swept.stdout.index("TRIAL") :].splitlines()
    assert [line.split()[:3] for line in table[1:5]] == [
        ["2", "0.3", "1"],
        ["1", "0.1", "0.8"],
        ["3", "0.9", "0.4"],
        ["4", "2.0", "–"],
    ]
    assert "not accepted: score is 0.4, expected >= 0.5" in table[3]
    assert "failed: ended with exit status 1: diverged" in table[4]
    assert "registered m@1: trial 2, the highest score" in swept.stdout
    (report,) = directory.glob(".plimsoll/runs/*/report.html")
    page = report.read_text()
    assert "trial 2 is the best of the accepted ones" in page
    assert page.count('<circle class="trial ') == 3
    assert answer(plimsoll("models", "m:best", "--json"))["version"] == 1
    run = answer(plimsoll("run", "--set", "rate=0.3", "--json"))
    assert all(step["cached"] for step in run["steps"])
    assert len(trained(directory)) == 4
    assert (directory / ".plimsoll/latest/train/m/model.txt").read_text() == "0.3"
    assert "sweep of rate=0.1,0.3,0.9,2.0" in plimsoll("runs").stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_sweep_goes_on_with_the_trials_that_had_not_ended(directory: Path, plimsoll: Plimsoll) -> None:
    arguments = ("sweep", "--random", "rate=0:1", "--trials", "3", "--parallel", "1", "--set", "pause=0.4")
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(directory / ".config")}
    killed = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not (directory / "trained.txt").exists() or len(trained(directory)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    swept = answer(plimsoll(*arguments, "--json"))
    assert swept["state"] == "done"
    assert [trial["state"] for trial in swept["trials"]] == ["done"] * 3
    begun = trained(directory)
    assert len(begun) == 4, "only the one that was killed is begun again"
    assert begun[1] == begun[2]


def test_a_sweep_that_cannot_be_is_told_before_anything_runs(directory: Path, plimsoll: Plimsoll) -> None:
    unknown = plimsoll("sweep", "--grid", "rat=1,2")
    assert unknown.returncode == 2
    assert "--grid: the file has no parameter 'rat'" in unknown.stderr
    assert "rate" in unknown.stderr
    undirected = plimsoll("sweep", "--grid", "rate=1,2", "--objective", "loss")
    assert "nothing says whether 'loss' is to be high or low" in undirected.stderr
    both = plimsoll("sweep", "--grid", "rate=1,2", "--set", "rate=3")
    assert "--set: 'rate=3' is searched" in both.stderr
    assert not (directory / "trained.txt").exists()
