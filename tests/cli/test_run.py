from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.engine.application_run import new_run_id

from .conftest import ENVIRONMENT, Plimsoll, answer, write

CHAIN = """\
  datasets:
    a: {run: "echo a >> runs.txt; echo 1 > $PLIMSOLL_OUTPUT/x", outputs: [x]}
    b: {run: "echo b >> runs.txt; cp $PLIMSOLL_INPUT_A/x $PLIMSOLL_OUTPUT/x", inputs: [a], outputs: [x]}
"""


def until(condition: Callable[[], object], limit: float = 20.0) -> bool:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def marked(directory: Path) -> list[int]:
    """Processes that a run below this directory has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"PLIMSOLL_OUTPUT={directory}".encode() in environment:
                found.append(int(entry.name))
    return found


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "plimsoll", "run", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=directory, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
def test_a_second_run_keeps_all_and_a_third_does_only_what_changed(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, CHAIN)
    assert plimsoll("run").returncode == 0
    second = answer(plimsoll("run", "--json"))
    assert [(step["name"], step["cached"]) for step in second["steps"]] == [("run/a", True), ("run/b", True)]
    assert second["state"] == "done"
    assert Path(second["report"]).is_file()
    write(tmp_path, CHAIN.replace("echo b >>", "echo B >>"))
    assert "command changed" in plimsoll("plan").stdout
    third = answer(plimsoll("run", "--json"))
    assert [step["cached"] for step in third["steps"]] == [True, False]
    assert (tmp_path / "runs.txt").read_text() == "a\nb\nB\n"


@pytest.mark.slow
def test_the_newest_run_is_the_last_one_even_within_a_second(tmp_path: Path, plimsoll: Plimsoll) -> None:
    for number in range(4):
        write(tmp_path, CHAIN.replace("echo b >>", f"echo {number} >>"))
        run = answer(plimsoll("run", "--json"))["run"]
        assert answer(plimsoll("status", "--json"))["run"] == run


def test_ids_of_runs_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(1000)]
    assert ids == sorted(ids)


@pytest.mark.slow
def test_a_failed_step_gives_exit_1_its_reason_and_its_last_lines(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, '  datasets:\n    a: {run: "echo deep trouble; exit 4", outputs: [x]}\n')
    ended = plimsoll("run")
    assert ended.returncode == 1
    assert "ended with exit status 4: deep trouble" in ended.stdout
    told = answer(plimsoll("run", "--json"))
    assert told["state"] == "failed"
    assert "exit status 4" in told["steps"][0]["reason"]


@pytest.mark.slow
def test_logs_show_what_a_step_wrote(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, '  datasets:\n    a: {run: "echo hello; touch $PLIMSOLL_OUTPUT/x", outputs: [x]}\n')
    plimsoll("run")
    assert plimsoll("logs", "run/a").stdout == "run/a 1-0 │ hello\n"
    assert plimsoll("logs", "a").stdout == "run/a 1-0 │ hello\n"
    assert answer(plimsoll("logs", "--json"))["logs"][0]["text"] == "hello\n"
    assert "its steps are: run/a" in plimsoll("logs", "nothing").stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_children_within_five_seconds_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    stubborn = "trap '' TERM INT; while :; do sleep 0.1; done"
    write(tmp_path, f'  datasets:\n    a: {{run: "sh -c \\"{stubborn}\\"", outputs: [x]}}\n')
    process = start(tmp_path)
    assert until(lambda: marked(tmp_path))
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 128 + number
    assert "plimsoll run -f plimsoll.yaml` resumes" in errors
    assert marked(tmp_path) == []


@pytest.mark.slow
def test_when_plimsoll_is_killed_nothing_is_left_and_the_next_run_goes_on(tmp_path: Path, plimsoll: Plimsoll) -> None:
    slow = CHAIN.replace("echo b >> runs.txt", "[ -e go ] || sleep 300; echo b >> runs.txt")
    write(tmp_path, slow)
    process = start(tmp_path)
    assert until(lambda: "a\n" in ((tmp_path / "runs.txt").read_text() if (tmp_path / "runs.txt").exists() else ""))
    assert until(lambda: len(list((tmp_path / ".plimsoll" / "results").iterdir())) == 1)
    assert until(lambda: marked(tmp_path))
    process.kill()
    process.communicate()
    assert until(lambda: not marked(tmp_path), 5)
    assert answer(plimsoll("status", "--json"))["state"] == "killed"
    (tmp_path / "go").touch()
    told = answer(plimsoll("run", "--json"))
    assert [step["cached"] for step in told["steps"]] == [True, False]
    assert (tmp_path / "runs.txt").read_text() == "a\nb\n"


@pytest.mark.slow
def test_when_everything_is_killed_at_once_the_next_run_cleans_up_and_goes_on(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    write(
        tmp_path,
        "  datasets:\n    a: {run: \"[ -e go ] || sh -c 'sleep 300; true'; touch $PLIMSOLL_OUTPUT/x\", outputs: [x]}\n",
    )
    process = start(tmp_path)
    assert until(lambda: len(marked(tmp_path)) >= 2)
    warden = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [process.pid, *map(int, warden)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "go").touch()
    assert plimsoll("run").returncode == 0
    assert marked(tmp_path) == []


@pytest.mark.slow
def test_a_second_run_at_the_same_time_says_who_holds_it(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, "  datasets:\n    a: {run: sleep 300, outputs: [x]}\n")
    process = start(tmp_path)
    assert until(lambda: marked(tmp_path))
    second = plimsoll("run")
    assert second.returncode == 1
    assert f"in process {process.pid}" in second.stderr
    assert "plimsoll down" in second.stderr
    assert "stopped run" in plimsoll("down").stdout
    process.communicate(timeout=10)
    assert marked(tmp_path) == []


def test_a_gang_too_large_for_the_machine_is_refused_before_anything_starts(tmp_path: Path, plimsoll: Plimsoll) -> None:
    train = "{run: touch started, workers: 900, resources: {cpu: 1}}"
    write(tmp_path, f"  models:\n    m: {{train: {train}}}\n")
    ended = plimsoll("run")
    assert ended.returncode == 2
    assert "900 workers of train/m request 900 processor cores together" in ended.stderr
    assert "plimsoll.yaml:6:" in ended.stderr
    assert not (tmp_path / "started").exists()


GANG = """\
  models:
    m:
      train: {run: python train.py, framework: none, workers: 2, resources: {cpu: 0.5}, retries: 2}
"""
TRAIN = """
import os, pathlib, sys, time
rank, output = os.environ["RANK"], pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
checkpoint = pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"], f"step-{rank}")
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
print("from step", step, flush=True)
while step < 3:
    step += 1
    checkpoint.write_text(str(step))
    if rank == "1" and step == 2 and not pathlib.Path("died").exists():
        pathlib.Path("died").touch()
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    if rank == "0" and not pathlib.Path("died").exists():
        time.sleep(300)
(output / "model.txt").write_text("model of " + rank)
"""


@pytest.mark.slow
def test_a_dead_worker_ends_its_gang_which_goes_on_from_the_last_checkpoint(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, GANG, train_py=TRAIN)
    told = answer(plimsoll("run", "--json"))
    assert told["state"] == "done"
    assert told["steps"][0]["attempts"] == 2
    assert told["models"]["m"]["version"] == 1
    logs = plimsoll("logs", "train/m").stdout
    assert "train/m 2-1 │ from step 2" in logs
    report = Path(told["report"]).read_text()
    assert "was killed by SIGKILL" in report
    model = tmp_path / ".plimsoll" / "latest" / "train" / "m" / "model.txt"
    assert model.read_text() == "model of 0"


def test_a_read_only_directory_is_a_clear_error(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, CHAIN)
    (tmp_path / ".plimsoll").write_text("in the way")
    ended = plimsoll("run")
    assert ended.returncode == 1
    assert "cannot write the state directory" in ended.stderr
