"""The door by which mpirun starts its daemons in other pods: whom it lets in, and how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.runtime.contracts import script_path
from plimsoll.runtime.rendezvous import mpi_node

HOST = "127.0.0.1"
SCRIPT = script_path("mpi_node.py")
WORKER = "127.0.0.2"


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    hosts = tmp_path / "hostfile"
    hosts.write_text(f"{HOST} slots=1\n{WORKER} slots=1\n")
    gang = {"OMPI_MCA_orte_default_hostfile": str(hosts), "WORLD_SIZE": "2", "OUTPUT": str(tmp_path)}
    return {**os.environ, **gang, mpi_node.SECRET_VARIABLE: "s" * 64, mpi_node.PORT_VARIABLE: str(free_port())}


@pytest.fixture
def worker(variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with started({**variables, "MPI_DOOR_RANK": "1"}) as found:
        yield found
        found.kill()


def started(environment: dict[str, str], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def launched(variables: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    """What worker 0 comes to whose command is this one of a shell; `$AGENT` is its agent."""
    script = f'AGENT="$OMPI_MCA_plm_rsh_agent"; {command}'
    with started({**variables, "MPI_DOOR_RANK": "0"}, "sh", "-c", script) as running:
        printed, said = running.communicate(timeout=60)
    return subprocess.CompletedProcess(running.args, running.returncode, printed, said)


def test_a_command_runs_on_the_other_worker_with_its_output_and_its_status(
    variables: dict[str, str], worker: subprocess.Popen[str]
) -> None:
    done = launched(
        variables, f'"$AGENT" -x {WORKER} "echo out \\$MPI_DOOR_RANK; echo err >&2;" exit 3; echo "status $?"'
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "out 1\nstatus 3\n", "err\n")
    assert worker.wait(20) == 0


def test_the_status_of_the_command_is_that_of_worker_0_and_the_other_ends_well(
    variables: dict[str, str], worker: subprocess.Popen[str]
) -> None:
    assert launched(variables, "exit 5").returncode == 5
    assert worker.wait(20) == 0


def test_a_single_worker_needs_no_secret_and_has_the_agent_too(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("localhost slots=1\n")
    alone = {name: value for name, value in variables.items() if name != mpi_node.SECRET_VARIABLE}
    assert launched(alone, 'test -x "$AGENT"; exit $?').returncode == 0


def test_much_output_comes_whole(variables: dict[str, str], worker: subprocess.Popen[str]) -> None:
    done = launched(variables, f'"$AGENT" {WORKER} "seq 200000" | md5sum; seq 200000 | md5sum')
    first, second = done.stdout.splitlines()
    assert first == second


def test_the_command_may_call_the_launcher_more_than_once(
    variables: dict[str, str], worker: subprocess.Popen[str]
) -> None:
    call = f'"$AGENT" {WORKER} "echo again"'
    assert launched(variables, f"{call}; {call}").stdout == "again\nagain\n"


def test_who_does_not_know_the_secret_has_nothing_run(
    variables: dict[str, str], worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    call = f'env {mpi_node.SECRET_VARIABLE}=wrong "$AGENT" {WORKER} "touch {tmp_path}/there" & sleep 1; kill $!'
    assert launched(variables, f"{call}; exit 0").returncode == 0
    assert not (tmp_path / "there").exists()


def test_what_is_no_request_is_let_go_of(variables: dict[str, str], worker: subprocess.Popen[str]) -> None:
    done = launched(variables, f'{sys.executable} -c "{_GARBAGE}"; "$AGENT" {WORKER} "echo still here"')
    assert done.stdout == "closed\nstill here\n", done.stderr


_GARBAGE = f"""
import os, socket
c = socket.create_connection(('{WORKER}', int(os.environ['{mpi_node.PORT_VARIABLE}'])), 10)
c.recv(32); c.sendall(bytes(32) + bytes([255] * 4)); print('closed' if c.recv(1) == b'' else 'open')
""".replace("\n", ";").strip(";")


def test_a_worker_whose_worker_0_is_gone_ends_with_all_that_runs_in_it(
    variables: dict[str, str], worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    command = f'"$OMPI_MCA_plm_rsh_agent" {WORKER} "echo \\$\\$ > {tmp_path}/pid; sleep 100"'
    with started({**variables, "MPI_DOOR_RANK": "0"}, "sh", "-c", command) as launcher:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            time.sleep(0.01)
        os.killpg(launcher.pid, 9)
    assert worker.wait(20) == 1
    assert worker.stderr is not None
    assert worker.stderr.read() == "worker 0 is gone\n"
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline").exists()


def test_a_worker_that_is_gone_ends_the_command(
    variables: dict[str, str], worker: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mpi_node, "END_LIMIT", 0.2)
    held = {mpi_node.opened(WORKER, {"do": "hold"}, 20): WORKER}
    command = subprocess.Popen(["sleep", "100"])
    threading.Timer(0.3, worker.kill).start()
    assert mpi_node._watch(command, held) == WORKER
    for each in held:
        each.close()
    assert command.returncode != 0


def test_a_worker_that_never_answers_is_named(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=rf"the worker {WORKER} did not answer within 0\.1 s"):
        mpi_node.opened(WORKER, {"do": "hold"}, 0.1)
