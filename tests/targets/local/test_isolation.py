"""Steps in sandboxes of this machine: what they may do, how they end, and what is told of what they may not."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plimsoll.application.isolation import Isolation, Level
from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kinds.train import Framework, TrainGang
from plimsoll.planning.steps import InputFile, Step, WorkerResources
from plimsoll.runtime.isolation import bubblewrap
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.targets.local.levels import settled_here
from plimsoll.targets.local.session import LocalSession

from .conftest import processes_of

pytestmark = pytest.mark.skipif(not sandboxing().program, reason=f"{sandboxing().problem}; {sandboxing().remedy}")
Apart = Callable[..., Observation]
LEVELS: tuple[Level, ...] = ("process", "strict")


@pytest.fixture
def apart(target: LocalSession) -> Apart:
    """Runs one command in a sandbox, and gives its end."""

    def apart(command: str, level: Level = "strict", *, key: str = "key", **settings: Any) -> Observation:
        names = {"resources", "inputs", "outputs"}
        step_settings = {name: settings.pop(name) for name in ("resources",) if name in settings}
        work = RunCommand(command=command, **{name: settings.pop(name) for name in [*settings] if name in names})
        step = Step(part="step", key=key, work=work, isolation=Isolation(level=level, **settings), **step_settings)
        seen = list(target.start(step, 1))
        assert seen[-1].event == "attempt-ended"
        return seen[-1]

    return apart


@pytest.mark.parametrize("level", LEVELS)
def test_what_a_step_writes_to_its_output_becomes_its_result(apart: Apart, target: LocalSession, level: Level) -> None:
    end = apart("echo hello > $PLIMSOLL_OUTPUT/x", level, outputs=("x",))
    assert end.fact["outcome"] == "done", end.fact["reason"]
    assert (target.state.output("key") / "x").read_text() == "hello\n"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo no such column >&2; exit 3", "ended with exit status 3: no such column"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("pythn train.py", "the command 'pythn' was not found"),
        ("true", "wrote no x"),
    ],
)
def test_how_a_step_ends_is_told_as_outside(apart: Apart, level: Level, command: str, reason: str) -> None:
    end = apart(command, level, outputs=("x",))
    assert end.fact["outcome"] == "failed"
    assert reason in end.fact["reason"]


def test_a_step_sees_its_inputs_and_lists_of_files_that_an_earlier_step_has_written(
    apart: Apart, target: LocalSession, tmp_path: Path
) -> None:
    (tmp_path / "clean.py").write_text("import shutil, sys; shutil.copy(open(sys.argv[1]).read().strip(), sys.argv[2])")
    apart("echo 1 > $PLIMSOLL_OUTPUT/i; echo $PLIMSOLL_OUTPUT/i > $PLIMSOLL_OUTPUT/list", key="first")
    inputs = (InputFile(name="first", step="run/first", key="first", file="list"),)
    end = apart("python clean.py $PLIMSOLL_INPUT_FIRST $PLIMSOLL_OUTPUT/o", key="second", inputs=inputs)
    assert end.fact["outcome"] == "done", end.fact["reason"]
    assert (target.state.output("second") / "o").read_text() == "1\n"


def test_memory_and_processor_time_are_measured_in_a_sandbox(target: LocalSession) -> None:
    command = f'{sys.executable} -c "x = bytearray(100 << 20)"'
    step = Step(part="s", key="k", work=RunCommand(command=command), isolation=Isolation())
    ended = next(each for each in target.start(step, 1) if each.event == "worker-ended")
    assert ended.fact["peak_memory"] > 100 << 20
    assert ended.fact["cpu_seconds"] > 0


def test_a_step_over_its_memory_is_killed_in_a_sandbox_too(apart: Apart) -> None:
    eat = f'{sys.executable} -c "import time; x = bytearray(200 << 20); time.sleep(30)"'
    end = apart(eat, resources=WorkerResources(memory=64 << 20))
    assert "used more than its memory of 64 MiB" in end.fact["reason"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_stopped_step_can_finish_what_it_is_at_and_leaves_nothing(target: LocalSession, level: Level) -> None:
    command = """trap 'echo bye > $PLIMSOLL_CHECKPOINT/bye; exit 0' TERM; echo up > $PLIMSOLL_CHECKPOINT/up
    while :; do sleep 0.05; done"""
    work = TrainGang(command=command, framework="none")
    attempt = target.start(Step(part="m", key="key", work=work, isolation=Isolation(level=level)), 1)
    seen: list[Observation] = []
    watcher = threading.Thread(target=lambda: seen.extend(attempt))
    watcher.start()
    checkpoints = target.state.checkpoints / "key"
    for _ in range(500):
        if (checkpoints / "up").exists():
            break
        watcher.join(0.02)
    attempt.stop()
    watcher.join(20)
    assert seen[-1].fact["outcome"] == "stopped"
    assert (checkpoints / "bye").read_text() == "bye\n"
    assert processes_of(target.state.root) == []


GANG = """
import os, pathlib, socket, sys, time
rank, output = int(os.environ["RANK"]), pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
meeting = pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"], "port")
if rank == 0:
    with socket.create_server(("127.0.0.1", 0)) as server:
        meeting.with_suffix(".new").write_text(str(server.getsockname()[1]))
        meeting.with_suffix(".new").rename(meeting)
        (output / "said").write_bytes(server.accept()[0].recv(100))
else:
    while not meeting.exists():
        time.sleep(0.02)
    with socket.create_connection(("localhost", int(meeting.read_text()))) as client:
        client.sendall(b"hello from 1")
"""


def test_workers_of_a_gang_find_each_other_where_there_is_no_network(target: LocalSession, tmp_path: Path) -> None:
    (tmp_path / "gang.py").write_text(GANG)
    work = TrainGang(command="python gang.py", framework="none", size=2)
    seen = list(target.start(Step(part="m", key="key", work=work, isolation=Isolation()), 1))
    assert seen[-1].fact["outcome"] == "done", seen[-1].fact["reason"]
    assert (target.state.output("key") / "said").read_text() == "hello from 1"


@pytest.mark.parametrize(
    ("command", "settings", "told"),
    [
        ("cat $SECRET", {}, "isolation hides {path} from it; allow it with isolation: {{reads: [{path}]}}"),
        ("echo x > here", {}, "isolation lets it write only to its output"),
        ('python -c \'open("/x", "w")\'', {}, "isolation lets it write only to its output"),
        (
            "python -c 'import urllib.request as r; r.urlopen(\"http://example.org\", timeout=5)'",
            {},
            "allow it with isolation: {{network: true}}",
        ),
        (
            'python -c \'import os; [os.fork() or os.execlp("sleep", "sleep", "9") for _ in range(99)]\'',
            {"processes": 32},
            "32 processes and threads",
        ),
        ('python -c \'open("/tmp/x", "wb").write(bytes(9 << 20))\'', {"temporary": "4Mi"}, "4 MiB in /tmp"),
    ],
)
def test_what_a_step_was_refused_is_told_with_the_remedy(
    apart: Apart, tmp_path: Path, command: str, settings: dict[str, Any], told: str
) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_text("x")
    end = apart(command.replace("$SECRET", str(secret)), **settings)
    assert end.fact["outcome"] == "failed"
    assert told.format(path=secret) in end.fact["reason"]


def test_what_the_file_lets_in_is_let_in(apart: Apart, target: LocalSession, tmp_path: Path) -> None:
    data, cache = tmp_path.parent / f"{tmp_path.name}-data", tmp_path.parent / f"{tmp_path.name}-cache"
    data.mkdir()
    cache.mkdir()
    (data / "rows.csv").write_text("1\n")
    link = tmp_path / "rows.csv"
    link.symlink_to(data / "rows.csv")
    command = f"cat rows.csv > {cache}/seen && ! touch {data}/new && cp {cache}/seen $PLIMSOLL_OUTPUT"
    end = apart(command, reads=(str(data),), writes=(str(cache),), outputs=("seen",))
    assert end.fact["outcome"] == "done", end.fact["reason"]
    assert (cache / "seen").read_text() == "1\n"
    assert not (data / "new").exists()


@pytest.mark.parametrize("path", ["no/such/file", "~nobody-at-all/x"])
def test_a_path_that_is_let_in_and_is_not_there_is_named(apart: Apart, path: str) -> None:
    end = apart("true", reads=(path,))
    assert f"isolation lets in {path}, which does not exist" in end.fact["reason"]
    assert end.fact["lasting"] is True


def test_a_home_directory_that_is_not_there_keeps_nothing_from_running(
    apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert apart("true").fact["outcome"] == "done"


def test_a_step_that_may_read_everything_sees_neither_keys_nor_other_processes(
    apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_rsa").write_text("x")
    command = f"! cat $HOME/.ssh/id_rsa && test -e /var && test ! -e /proc/{os.getpid()}/maps"
    end = apart(command, reads=("/",))
    assert end.fact["outcome"] == "done", end.fact["reason"]


@pytest.mark.parametrize("level", [*LEVELS, "none"])
def test_a_step_has_no_descriptor_of_whoever_started_it(apart: Apart, target: LocalSession, level: Level) -> None:
    command = """python -c 'import os; print(*os.listdir("/proc/self/fd"))' > $PLIMSOLL_OUTPUT/x"""
    assert apart(command, level).fact["outcome"] == "done"
    # The fourth is of the directory that is listed, others are copies of the log.
    numbers = set((target.state.output("key") / "x").read_text().split())
    assert numbers == {"0", "1", "2", "3"}


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs mpirun (apt-get install openmpi-bin)")
@pytest.mark.parametrize("framework", ["mpi"])
def test_frameworks_that_start_their_workers_themselves_do_so_in_a_sandbox(
    target: LocalSession, framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    said = "echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE >> $PLIMSOLL_OUTPUT/ranks.txt"
    work = TrainGang(command=f"mpirun sh -c '{said}'", framework=framework, size=2)
    end = list(target.start(Step(part="m", key="key", work=work, isolation=Isolation()), 1))[-1]
    assert end.fact["outcome"] == "done", end.fact["reason"]
    assert sorted((target.state.output("key") / "ranks.txt").read_text().splitlines()) == ["rank 0 of 2", "rank 1 of 2"]


def test_without_a_word_in_the_file_the_machine_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled_here(None).level == "process"
    monkeypatch.setenv("PATH", "/nowhere")
    bubblewrap.sandboxing.cache_clear()
    try:
        assert settled_here(None).level == "none"
        with pytest.raises(TargetError, match="isolation: strict needs bubblewrap: bwrap is not on PATH"):
            settled_here(Isolation())
    finally:
        bubblewrap.sandboxing.cache_clear()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'bwrap: Unknown option --size' >&2; exit 1", "is too old: Unknown option --size"),
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "setting up uid map: Permission denied"),
        ("exit 7", "it ended with status 7"),
    ],
)
def test_a_program_that_cannot_make_sandboxes_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bubblewrap.sandboxing.cache_clear()
    try:
        found = sandboxing()
    finally:
        bubblewrap.sandboxing.cache_clear()
    assert found.program == ""
    assert why in found.problem
    assert found.remedy
