"""Programs that try to get out of a strict sandbox, and the same without one: the control that each of them works."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from plimsoll.application.isolation import Isolation
from plimsoll.kinds.dataset import RunCommand
from plimsoll.planning.steps import Step
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.targets.local.session import LocalSession

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sandboxing().program, reason=f"{sandboxing().problem}; {sandboxing().remedy}"),
]
SECRETS = (
    *(".ssh/id_rsa", ".gnupg/private", ".aws/credentials", ".kube/config", ".netrc", ".profile"),
    ".config/plimsoll/keys/signing.pem",
)
IN_STATE = (
    *("services/shop.token", "audit-keys/shop/key.pem", "results/other/output/rows.csv", "registry/blobs/model"),
    "runs/run-0/journal.jsonl",
)
STRICT = Isolation(level="strict", processes=64, temporary="16Mi")
DISKS = ("/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda")


def secret(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret")
    return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An application, and beside it what is none of its business."""
    home, app = tmp_path / "home", tmp_path / "app"
    for name in SECRETS:
        secret(home / name)
    for name in IN_STATE:
        secret(app / ".plimsoll" / name)
    secret(app / "plimsoll.yaml")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(secret(tmp_path / "agent")))
    shutil.copy(Path(__file__).with_name("escapes.py"), app)
    groups = (Path("/sys/fs/cgroup/pids/cgroup.procs"), Path("/sys/fs/cgroup/cgroup.procs"))
    with contextlib.ExitStack() as until_end:
        victim = subprocess.Popen(["sleep", "600"], env={"WORD": "secret"}, cwd=home)
        until_end.callback(victim.wait)
        until_end.callback(victim.kill)
        ports = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with contextlib.suppress(OSError):
                listener = until_end.enter_context(socket.create_server((host, 0), family=family))
                ports.append(listener.getsockname()[1])
        for name in ("\0plimsoll-escapes-" + tmp_path.name, str(tmp_path / "socket")):
            listener = until_end.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(name)
            listener.listen()
        shared = until_end.enter_context(tempfile.NamedTemporaryFile("w", dir="/tmp"))
        memory = until_end.enter_context(tempfile.NamedTemporaryFile("w", dir="/dev/shm"))
        for file in (shared, memory):
            file.write("secret")
            file.flush()
        yield {
            "app": str(app),
            "home": str(home),
            "state": str(app / ".plimsoll"),
            "other": str(secret(tmp_path / "other" / ".plimsoll" / "results" / "k" / "output" / "x")),
            "beside": str(secret(tmp_path / "beside.txt")),
            "victim": victim.pid,
            "port": ports[0],
            "port6": ports[-1],
            "abstract": "plimsoll-escapes-" + tmp_path.name,
            "socket": str(tmp_path / "socket"),
            "shared": shared.name,
            "memory": memory.name,
            "cgroup": str(next((each for each in groups if each.exists()), groups[0])),
            "disk": next((each for each in DISKS if Path(each).exists()), DISKS[0]),
            "device": str(next(Path("/sys/block").glob("*/queue/read_ahead_kb"), "/sys/block/none")),
            "many": 80,
            "megabytes": 18,
        }


def tried(world: Mapping[str, Any], isolation: Isolation) -> dict[str, str]:
    """What came of each way, by its name."""
    app = Path(world["app"])
    (app / "world.json").write_text(json.dumps({**world, "inside": isolation.level == "strict"}))
    session = LocalSession(app, "run-1")
    try:
        session.state.make()
        work = RunCommand(command=f"{sys.executable} escapes.py", outputs=("found.json",))
        step = Step(part="escapes", key=isolation.level, work=work, isolation=isolation)
        end = list(session.start(step, 1))[-1]
        assert end.fact["outcome"] == "done", end.fact["reason"]
        found: dict[str, str] = json.loads((session.state.output(step.key) / "found.json").read_text())
    finally:
        session.close()
    return found


def test_no_way_leads_out_of_a_strict_sandbox_and_without_one_they_do(world: dict[str, Any]) -> None:
    outside = tried(world, Isolation(level="none"))
    led_out = {name for name, said in outside.items() if said == "out"}
    assert len(led_out) >= 30, outside
    inside = tried(world, STRICT)
    assert set(inside) == set(outside)
    assert {name for name, said in inside.items() if said == "out"} == set()


def test_the_usual_level_hides_keys_and_other_processes_and_leaves_the_rest(world: dict[str, Any]) -> None:
    usual = tried(world, Isolation(level="process"))
    held = {name for name, said in usual.items() if said != "out"}
    assert held >= {
        *("the SSH key", "the names of SSH keys", "keys of GnuPG", "the signing key", "the key by way of ../"),
        *("the_key_by_a_symbolic_link", "the_key_by_a_hard_link", "the token of a service", "the key of an audit log"),
        *("see other processes", "signal another process", "trace_another_process", "the_memory_of_another_process"),
        *("the environment of another process", "the root of another process", "hold another process"),
    }
    assert {"a_service_of_this_machine", "a file beside the application", "fill /tmp"} <= set(usual) - held


def test_nothing_of_a_step_is_left_when_it_is_killed(world: dict[str, Any]) -> None:
    app = Path(world["app"])
    session = LocalSession(app, "run-1")
    session.state.make()
    command = "sh -c 'setsid sleep 871 & setsid sleep 871 & echo started; exec sleep 871'"
    step = Step(part="left", key="left", work=RunCommand(command=command), isolation=STRICT)
    attempt = session.start(step, 1)
    seen = iter(attempt)
    pid = next(seen).fact["pid"]
    assert Path(f"/proc/{pid}").exists()
    os.kill(pid, signal.SIGKILL)
    ended = list(seen)[-1]
    session.close()
    assert "was killed by SIGKILL" in ended.fact["reason"]
    sleeping = [each for each in Path("/proc").glob("[0-9]*/cmdline") if b"871" in _read(each).split(b"\0")]
    assert sleeping == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
