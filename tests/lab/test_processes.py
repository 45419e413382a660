"""A killed process counts as ending from the moment of the kill; a running one does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.processes import is_ending


def test_a_killed_process_is_ending_before_it_has_gone_and_one_that_runs_is_not() -> None:
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            assert not is_ending(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            assert is_ending(process.pid)
            process.wait()
            assert is_ending(process.pid)


def test_a_process_that_nobody_has_waited_for_is_ending() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_ending(process.pid)


def test_a_name_with_spaces_and_brackets_is_no_hindrance(tmp_path: Path) -> None:
    name = tmp_path / "a) Z (b"
    name.symlink_to("/bin/sleep")
    with subprocess.Popen([name, "30"]) as process:
        assert not is_ending(process.pid)
        process.kill()
