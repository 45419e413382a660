from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import CommandResult
from plimsoll.planning.steps import InputFile, WorkerResources
from plimsoll.state.results import Result
from plimsoll.targets.local.session import LocalSession

from .conftest import Run, command_step, processes_of


def until(condition: Callable[[], object], limit: float = 10.0) -> bool:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def end_of(observations: list[Observation]) -> Observation:
    assert observations[-1].event == "attempt-ended"
    return observations[-1]


def test_what_a_command_writes_to_its_output_becomes_the_result(run: Run, target: LocalSession) -> None:
    end = end_of(run("echo hello > $PLIMSOLL_OUTPUT/greeting.txt", outputs=("greeting.txt",)))
    assert end.fact["outcome"] == "done"
    assert list(end.fact["result"]["outputs"]) == [{"name": "greeting.txt", "size": 6}]
    assert (target.state.output("key") / "greeting.txt").read_text() == "hello\n"


def test_metrics_are_taken_from_metrics_json(run: Run) -> None:
    end = end_of(run("""echo '{"accuracy": 0.5, "rows": 7}' > $PLIMSOLL_OUTPUT/metrics.json"""))
    assert end.fact["result"]["metrics"] == {"accuracy": 0.5, "rows": 7.0}


def test_a_figure_that_is_no_number_is_left_out_and_the_rest_of_the_result_is_kept(
    run: Run, target: LocalSession
) -> None:
    end = end_of(run("""echo m > $PLIMSOLL_OUTPUT/model; echo '{"a": 1, "b": NaN}' > $PLIMSOLL_OUTPUT/metrics.json"""))
    assert end.fact["outcome"] == "done"
    kept = target.state.result("key", CommandResult)
    assert kept is not None
    assert [file.name for file in kept.outputs] == ["metrics.json", "model"]
    assert (kept.metrics, kept.notes) == ({"a": 1.0}, ("metrics.json: 'b' is NaN and is left out",))


def test_the_absolute_paths_that_a_command_wrote_down_still_lead_to_its_files(
    run: Run, target: LocalSession, tmp_path: Path
) -> None:
    listing = "echo 1 > $PLIMSOLL_OUTPUT/i; echo $PLIMSOLL_OUTPUT/i > $PLIMSOLL_OUTPUT/list"
    run(listing, key="first")
    target.clean_up()
    inputs = (InputFile(name="first", step="run/first", key="first", file="list"),)
    end = end_of(run("cp $(cat $PLIMSOLL_INPUT_FIRST) $PLIMSOLL_OUTPUT/o", key="second", inputs=inputs))
    assert end.fact["outcome"] == "done"
    assert (target.state.output("second") / "o").read_text() == "1\n"


def test_a_step_that_runs_again_leaves_the_path_of_its_files_valid(run: Run, target: LocalSession) -> None:
    for word in ("old", "new"):
        run(f"echo {word} > $PLIMSOLL_OUTPUT/i")
    assert (target.state.work / "key" / "output" / "i").read_text() == "new\n"
    shutil.rmtree(target.state.results / "key")
    target.clean_up()
    assert list(target.state.work.iterdir()) == []


def test_a_result_whose_link_is_missing_after_a_kill_is_linked_by_the_next_run(run: Run, target: LocalSession) -> None:
    run("echo 1 > $PLIMSOLL_OUTPUT/i")
    (target.state.work / "key").unlink()
    target.clean_up()
    assert (target.state.work / "key" / "output" / "i").read_text() == "1\n"


def test_absolute_links_into_the_output_are_relative_in_the_result(run: Run, target: LocalSession) -> None:
    run("cd $PLIMSOLL_OUTPUT; mkdir a; echo 1 > a/i; ln -s $PLIMSOLL_OUTPUT/a/i b; ln -s $PLIMSOLL_OUTPUT/a a/self")
    output = target.state.output("key")
    assert [str(link.readlink()) for link in (output / "b", output / "a" / "self")] == ["a/i", "."]
    moved = output.rename(output.with_name("moved"))
    assert (moved / "b").read_text() == "1\n"


def test_a_missing_output_fails_the_step_and_is_named(run: Run, target: LocalSession) -> None:
    end = end_of(run("true", outputs=("train.parquet",)))
    assert end.fact["outcome"] == "failed"
    assert "train.parquet" in end.fact["reason"]
    assert target.state.result("key", Result) is None


def test_a_failure_says_the_status_and_the_last_words(run: Run) -> None:
    end = end_of(run("echo thinking; echo 'no such column: age' >&2; exit 3"))
    assert end.fact["reason"] == "ended with exit status 3: no such column: age"


def test_a_command_that_does_not_exist_is_named_with_a_remedy(run: Run) -> None:
    end = end_of(run("pythn train.py"))
    assert "the command 'pythn' was not found" in end.fact["reason"]
    assert "requirements" in end.fact["reason"]


def test_a_script_that_is_there_is_never_said_not_to_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "go.sh").write_bytes(b"#!/bin/sh\r\necho 1\r\n")
    (tmp_path / "go.sh").chmod(0o755)
    end = end_of(run("./go.sh"))
    assert "the first line of './go.sh' ends with CRLF" in end.fact["reason"]
    assert end.fact["lasting"] is True
    end = end_of(run("cat /dev/null && ./go.sh > $PLIMSOLL_OUTPUT/x"))
    assert "status 127: the first line of './go.sh' ends with CRLF" in end.fact["reason"]
    assert "nothing" in end_of(run("./nothing > $PLIMSOLL_OUTPUT/x")).fact["reason"]


def test_inputs_are_seen_as_absolute_paths_under_their_names(run: Run, target: LocalSession) -> None:
    run("echo 1 > $PLIMSOLL_OUTPUT/a.txt", key="first")
    inputs = (InputFile(name="work-orders", step="run/first", key="first", file="a.txt"),)
    run("cp $PLIMSOLL_INPUT_WORK_ORDERS $PLIMSOLL_OUTPUT/b.txt", key="second", inputs=inputs)
    assert (target.state.output("second") / "b.txt").read_text() == "1\n"


def test_python_is_found_whatever_the_path_holds(
    run: Run, target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(Path(sys.executable)))
    assert end_of(run("python -c 'print(1)'")).fact["outcome"] == "done"


def test_a_step_over_its_time_limit_is_ended_and_says_so(run: Run, target: LocalSession) -> None:
    end = end_of(run("sleep 600", timeout=0.2))
    assert end.fact["reason"] == "did not end within its time limit of 0.2 s"
    # A process that has been killed is there for a moment yet.
    assert until(lambda: not processes_of(target.state.root))


def test_a_background_process_does_not_outlive_its_step(run: Run, target: LocalSession) -> None:
    assert end_of(run("sleep 601 & setsid sleep 602 & echo started")).fact["outcome"] == "done"
    # A process that has been killed is there for a moment yet.
    assert until(lambda: not processes_of(target.state.root))


def test_stopping_ends_even_a_process_that_ignores_being_asked(target: LocalSession) -> None:
    attempt = target.start(command_step("""sh -c 'trap "" TERM INT; while :; do sleep 0.1; done'"""), 1)
    seen: list[Observation] = []
    watcher = threading.Thread(target=lambda: seen.extend(attempt))
    watcher.start()
    assert until(lambda: processes_of(target.state.root))
    began = time.monotonic()
    attempt.stop()
    watcher.join(10)
    assert time.monotonic() - began < 5
    assert end_of(seen).fact["outcome"] == "stopped"
    # A process that has been killed is there for a moment yet.
    assert until(lambda: not processes_of(target.state.root))


def test_when_the_warden_is_killed_the_step_fails_and_the_next_attempt_works(target: LocalSession) -> None:
    attempt = target.start(command_step("sleep 603"), 1)
    seen: list[Observation] = []
    watcher = threading.Thread(target=lambda: seen.extend(attempt))
    watcher.start()
    assert until(lambda: processes_of(target.state.root))
    warden = target.context.warden._process
    assert warden
    os.kill(warden.pid, signal.SIGKILL)
    watcher.join(10)
    assert "was lost" in end_of(seen).fact["reason"]
    assert until(lambda: not processes_of(target.state.root))
    again = list(target.start(command_step("true"), 2))
    assert end_of(again).fact["outcome"] == "done"


@pytest.mark.skipif(not os.access("/sys/fs/cgroup", os.W_OK), reason="needs the right to make control groups")
def test_a_process_over_its_memory_is_killed_and_the_reason_says_so(run: Run) -> None:
    eat = f'{sys.executable} -c "x = bytearray(200 << 20); print(len(x))"'
    end = end_of(run(eat, resources=WorkerResources(memory=64 << 20)))
    assert end.fact["outcome"] == "failed"
    assert "used more than its memory of 64 MiB" in end.fact["reason"]
    assert end_of(run(eat, resources=WorkerResources(memory=512 << 20), key="k2")).fact["outcome"] == "done"


def test_memory_is_watched_where_the_kernel_gives_no_control_group(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("plimsoll.targets.local.limits._parent", lambda *_: None)
    eat = f'{sys.executable} -c "import time; x = bytearray(200 << 20); time.sleep(30)"'
    end = end_of(run(eat, resources=WorkerResources(memory=64 << 20)))
    assert "used more than its memory of 64 MiB" in end.fact["reason"]


def test_a_result_is_refused_when_a_file_of_it_has_gone(run: Run, target: LocalSession) -> None:
    run("echo 1 > $PLIMSOLL_OUTPUT/a.txt", outputs=("a.txt",))
    assert target.state.result("key", Result) is not None
    (target.state.output("key") / "a.txt").unlink()
    assert target.state.result("key", Result) is None


def test_leftovers_of_a_killed_run_are_ended_by_the_next(tmp_path: Path, target: LocalSession) -> None:
    mark = target.state.work / "old" / "output"
    mark.mkdir(parents=True)
    pid = os.posix_spawn("/bin/sleep", ["sleep", "604"], {"PLIMSOLL_OUTPUT": str(mark)})
    assert until(lambda: pid in processes_of(mark))
    assert target.clean_up() == 1
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert list(target.state.work.iterdir()) == []
