"""Runs in the background: they outlive whoever started them, and whoever follows them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ENVIRONMENT, Plimsoll, answer, write

pytestmark = pytest.mark.slow

WAITS = """\
  datasets:
    a: {run: "echo deep in it; while [ ! -e ROOT/go ]; do sleep 0.05; done; touch $PLIMSOLL_OUTPUT/x", outputs: [x]}
"""


def test_a_detached_run_is_followed_let_go_of_and_followed_to_its_end(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, WAITS.replace("ROOT", str(tmp_path)))
    begun = answer(plimsoll("run", "--detach", "--json"))
    second = plimsoll("run", "--detach")
    assert second.returncode == 1
    assert f"run {begun['run']} of 'tiny' has been running" in second.stderr
    seen = plimsoll("status")
    assert seen.returncode == 3
    assert "running for " in seen.stdout
    argv = [sys.executable, "-m", "plimsoll", "attach"]
    pipe = subprocess.PIPE
    following = subprocess.Popen(argv, cwd=tmp_path, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)
    assert following.stdout
    while "started" not in following.stdout.readline():
        assert following.poll() is None
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=20)
    assert following.returncode == 130
    assert f"let go; run {begun['run']} goes on" in errors
    assert plimsoll("status").returncode == 3
    (tmp_path / "go").touch()
    followed = plimsoll("attach")
    assert followed.returncode == 0, followed.stderr
    assert "✓ run/a" in followed.stdout
    assert "tiny on local: done" in followed.stdout
    assert (tmp_path / ".plimsoll/runs" / begun["run"] / "report.html").exists()
    assert plimsoll("status").returncode == 0


def test_a_detached_run_that_is_stopped_or_fails_says_so_by_its_status(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, WAITS.replace("ROOT", str(tmp_path)))
    assert "`plimsoll attach` follows it, `plimsoll down` stops it" in plimsoll("run", "--detach").stdout
    assert plimsoll("down").returncode == 0
    assert plimsoll("status").returncode == 4
    assert plimsoll("attach").returncode == 4
    wrong = plimsoll("run", "--detach", "--set", "lr=1")
    assert wrong.returncode == 2
    write(tmp_path, '  datasets:\n    a: {run: "exit 4", outputs: [x]}\n')
    plimsoll("run", "--detach")
    deadline = time.monotonic() + 20
    while plimsoll("status").returncode != 1:
        assert time.monotonic() < deadline
    assert plimsoll("attach").returncode == 1
