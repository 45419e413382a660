"""A process that holds the key signs for its user's commands, and for no step of a run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from plimsoll.errors import TargetError
from plimsoll.signing import private_keys
from plimsoll.signing.conditions import Conditions
from plimsoll.signing.dsse import sign, verify
from plimsoll.signing.holder.client import have_signed, require_held
from plimsoll.signing.holder.messages import Answered, receive
from plimsoll.signing.holder.peers import STEP_MARK, Peer, is_marked, refusal
from plimsoll.signing.keys import HolderPlace, KeyRing
from plimsoll.signing.log_reading import verify_log
from plimsoll.targets.local import warden_process
from plimsoll.targets.local.warden import ProcessEnd, Warden

DIGEST = "sha256:" + "ab" * 32
HOLDER = """
import sys
from pathlib import Path
from plimsoll.signing.holder.serving import Holder, hide_memory
from plimsoll.signing.keys import KeyRing
hide_memory()
keys = KeyRing(Path(sys.argv[1]))
holder = Holder(keys, keys.signer(), Path(sys.argv[2]), {int(sys.argv[3])}, lambda line: print(line, flush=True))
holder.serve(lambda: print("ready", flush=True))
"""
STEP = """
import os, sys, time
from pathlib import Path
from plimsoll.errors import TargetError
from plimsoll.signing.dsse import sign
from plimsoll.signing.keys import KeyRing
if os.fork():
    os.wait()
    # What is left of a step ends with it: wait for it.
    deadline = time.monotonic() + 40
    while not (Path(sys.argv[2]).exists() and Path(sys.argv[2]).read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    sys.exit(0)
os.setsid()
if os.fork():
    os._exit(0)
try:
    sign("evil@1", "sha256:" + "ab" * 32, {}, KeyRing(Path(sys.argv[1])))
    said = "signed"
except TargetError as error:
    said = error.message
Path(sys.argv[2]).write_text(said)
"""


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "keys")
    ring.signer()
    return ring


@pytest.fixture
def held(keys: KeyRing, tmp_path: Path) -> Iterator[KeyRing]:
    with holding(keys, tmp_path / "socket", os.getuid()):
        yield keys


class holding:  # noqa: N801 - it is used as a function
    def __init__(self, keys: KeyRing, place: Path, uid: int) -> None:
        self._command = [sys.executable, "-c", HOLDER, str(keys.directory), str(place), str(uid)]
        self._keys = keys
        self._place = place

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._keys.holder_file.write_bytes(msgspec.json.encode(HolderPlace(socket=str(self._place))))
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_command_has_signed_what_it_could_not_sign_itself(held: KeyRing) -> None:
    key = private_keys.load(held.private)
    private_keys.write_private(held.private, private_keys.encoded(key, b"secret")).replace(held.private)

    envelope = sign("triage@1", DIGEST, {}, held)
    assert verify(envelope, "triage@1", DIGEST, held) == held.own_id()
    assert verify_log(held).read.entries[-1].names == ("triage@1",)
    held.require_usable()


def test_the_holder_hides_its_memory_from_its_user(keys: KeyRing, tmp_path: Path) -> None:
    with holding(keys, tmp_path / "socket", os.getuid()) as process:
        # The kernel gives the files of a process that hides its memory to root.
        assert (Path("/proc") / str(process.pid) / "mem").stat().st_uid == 0
        limits = (Path("/proc") / str(process.pid) / "limits").read_text()
        (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]


def test_a_step_is_refused_however_it_starts_what_it_starts(held: KeyRing, tmp_path: Path) -> None:
    warden = Warden()
    ended: list[ProcessEnd] = []
    said = tmp_path / "said"
    try:
        warden.spawn(
            [sys.executable, "-c", STEP, str(held.directory), str(said)],
            environment={"PLIMSOLL_OUTPUT": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
            directory=tmp_path,
            log=tmp_path / "log",
            mark=str(tmp_path),
            on_end=ended.append,
        )
        for _ in range(600):
            if said.exists() and said.read_text():
                break
            time.sleep(0.05)
    finally:
        warden.close()
    assert said.exists(), (tmp_path / "log").read_text()
    assert "signs nothing for a step of a run" in said.read_text()
    assert sign("triage@1", DIGEST, {}, held)


def test_the_mark_of_a_step_is_the_same_where_it_is_put_and_where_it_is_seen() -> None:
    assert warden_process.STEP_MARK == STEP_MARK
    limits = Path("/proc/self/limits").read_text()
    line = next(each for each in limits.splitlines() if each.startswith("Max file locks"))
    assert not is_marked(limits)
    assert is_marked(limits.replace(line, f"Max file locks   {STEP_MARK}   {STEP_MARK}   locks"))
    assert is_marked(limits.replace(line, "Max file locks   0   0   locks"))


def test_another_user_and_a_process_that_is_gone_are_refused() -> None:
    here = Peer(pid=os.getpid(), uid=os.getuid())
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert refusal(here, {os.getuid()}, now) == ""
    assert "does not sign for user" in refusal(here, {os.getuid() + 1}, now)
    assert "cannot tell what process" in refusal(Peer(pid=1 << 30, uid=os.getuid()), {os.getuid()}, now)
    assert "has ended" in refusal(here, {os.getuid()}, 0.0)


def test_the_holder_says_why_it_does_not_sign(held: KeyRing) -> None:
    held.set_conditions(held.own_id(), Conditions(scopes=("bundles",)))
    with pytest.raises(TargetError, match="may not sign models:triage@1: it is limited to bundles"):
        sign("triage@1", DIGEST, {}, held)


def test_a_holder_that_does_not_run_and_one_with_another_key_are_told(keys: KeyRing, tmp_path: Path) -> None:
    keys.holder_file.write_bytes(msgspec.json.encode(HolderPlace(socket=str(tmp_path / "socket"))))
    with pytest.raises(TargetError, match=r"does not run(.|\n)*plimsoll key hold"):
        sign("triage@1", DIGEST, {}, keys)
    with pytest.raises(TargetError, match="does not run"):
        keys.require_usable()
    with holding(keys, tmp_path / "socket", os.getuid()):
        require_held(tmp_path / "socket", keys.own_id())
        other = KeyRing(tmp_path / "other")
        other.signer()
        with pytest.raises(TargetError, match="and the key of this ring is"):
            have_signed(tmp_path / "socket", b"{}", other)
    keys.holder_file.write_text("{")
    with pytest.raises(TargetError, match=r"cannot be found(.|\n)*plimsoll key use"):
        sign("triage@1", DIGEST, {}, keys)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\0" * 8, b"\0" * 7 + b"\x02{}", b"\0" * 7 + b"\x05[1,2]"])
def test_bytes_that_are_no_request_end_nothing(held: KeyRing, tmp_path: Path, content: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(tmp_path / "socket"))
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = msgspec.json.decode(receive(connection), type=Answered)
        except OSError:
            pass
        else:
            assert answer.refused
    assert sign("triage@1", DIGEST, {}, held)


def test_a_second_holder_at_a_socket_is_refused_and_a_killed_ones_place_is_taken(keys: KeyRing, tmp_path: Path) -> None:
    from plimsoll.signing.holder.serving import Holder

    place = tmp_path / "socket"
    with holding(keys, place, os.getuid()):
        second = Holder(keys, keys.signer(), place, {os.getuid()}, print)
        with pytest.raises(TargetError, match="runs here already"):
            second.serve()
    assert place.exists()
    with holding(keys, place, os.getuid()):
        assert sign("triage@1", DIGEST, {}, keys)
    place.unlink(missing_ok=True)
    place.write_text("")
    with pytest.raises(TargetError, match="something else"):
        second.serve()
