import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import observed


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    written = [observed("engine", f"run/{number}", "step-started", key=str(number)) for number in range(5)]
    with Journal(tmp_path / "j") as journal:
        for observation in written:
            journal.append(observation)
    assert list(read_journal(tmp_path / "j")) == written


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_last_line_cut_anywhere_loses_only_itself(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    for number in range(3):
        journal.append(observed("engine", f"run/{number}", "step-started"))
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content))])
    whole = content[:cut].count(b"\n")
    assert len(list(read_journal(path))) in (whole, whole + 1)


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(observed("engine", "run", "run-planned"))
    journal.close()
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(PlimsollError) as caught:
        list(read_journal(path))
    assert caught.value.where == f"{path}:1"


def test_a_killed_writer_leaves_a_readable_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    script = (
        "import sys, pathlib; from plimsoll.evidence.journal import Journal; from plimsoll.evidence.observation import "
        "observed; j = Journal(pathlib.Path(sys.argv[1]))\nwhile True: j.append(observed('engine', 'run', 'x'))"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)])
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert len(list(read_journal(path))) > 10
