"""What is believed of a keeper's record, and whose a port is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from plimsoll.errors import TargetError
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import Step
from plimsoll.registry.versions import Lineage
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.runtime.server.traffic import Share
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock, require_free
from plimsoll.targets.local.keeper.control import LocalKeeper, leading_version
from plimsoll.targets.local.keeper.records import KeeperLock, KeeperPlace, ServiceState, WantedService, own_record
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.local.ports import address_problem
from plimsoll.targets.local.process_identity import boot_id, identity, lives
from plimsoll.targets.local.servers import RunningService, announce, running_services
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.models import model_registry, version_for_use


@pytest.fixture
def place(tmp_path: Path) -> KeeperPlace:
    """Service `m` is wanted, and no keeper lives."""
    state = StateDirectory(tmp_path)
    state.make()
    place = KeeperPlace(state)
    place.make()
    place.want(WantedService(work=Serve(service="m", model="m@1"), settings="s"))
    return place


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_keeper_lives_only_with_its_lock_and_its_own_process(place: KeeperPlace, ended: int) -> None:
    assert LocalKeeper(place.state).keeper() == ""
    record = own_record({"m": ServiceState(state="up", url="http://127.0.0.1:1", settings="s")})
    place.record.write_bytes(msgspec.json.encode(record))
    # A record alone is believed by nobody, even though the process with its number lives.
    assert place.living() is None
    assert LocalKeeper(place.state).kept()["m"].state == "failed"
    lock = KeeperLock(place)
    assert lock.acquire()
    assert not KeeperLock(place).acquire()
    assert place.living() == record
    assert LocalKeeper(place.state).kept()["m"].url == "http://127.0.0.1:1"
    place.record.write_bytes(msgspec.json.encode(replace(record, pid=ended)))
    assert place.living() is None
    place.record.write_bytes(msgspec.json.encode(replace(record, identity=f"{boot_id()}:1")))
    assert place.living() is None
    lock.release()


def test_the_death_of_a_keeper_is_told_with_its_reason(place: KeeperPlace) -> None:
    record = own_record({})

    def death(**changes: str) -> str:
        place.record.write_bytes(msgspec.json.encode(replace(record, **changes)))
        return LocalKeeper(place.state).problems()["m"]

    assert "ended without a word: it was killed; `plimsoll up` brings it back at the same address" in death()
    assert "ended when this machine was restarted" in death(identity="another:1")
    assert "has ended: it was asked to" in death(ended="it was asked to")
    place.unwant("m")
    assert LocalKeeper(place.state).problems() == {}


def test_a_number_that_was_given_again_is_another_process(tmp_path: Path, ended: int) -> None:
    mine = identity(os.getpid())
    assert mine.startswith(f"{boot_id()}:")
    assert lives(os.getpid(), mine)
    assert lives(os.getpid(), "")
    assert not lives(os.getpid(), f"{boot_id()}:1")
    assert not lives(ended, "")
    state = StateDirectory(tmp_path)
    state.make()
    known = RunningService(name="m", url="u", pid=os.getpid(), model="m", version=1, run="r", identity=mine)
    announce(state, known)
    assert running_services(state) == {"m": known}
    announce(state, replace(known, identity=f"{boot_id()}:1"))
    assert running_services(state) == {}


def test_a_run_leaves_the_services_of_a_keeper_announced(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    mine = identity(os.getpid())
    for name, run in (("kept", "keeper"), ("watched", "r1")):
        announce(
            state, RunningService(name=name, url="u", pid=os.getpid(), model="m", version=1, run=run, identity=mine)
        )
    LocalSession(tmp_path, "r2").clean_up()
    assert list(running_services(state)) == ["kept"]


def test_a_port_that_is_taken_names_who_has_it(listening: int) -> None:
    problem = address_problem("127.0.0.1", listening)
    assert problem.startswith(f"port {listening} is taken by process {os.getpid()} (")
    assert "python" in problem
    assert address_problem("127.0.0.1", 0) == ""
    assert "192.0.2.1 cannot be taken" in address_problem("192.0.2.1", 0)
    assert "'no.such.host.invalid' is no address of this machine" in address_problem("no.such.host.invalid", 0)


def test_who_is_kept_from_training_by_a_run_that_watches_is_told_of_up(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "lock")
    lock.acquire("r1", "tiny", watches=True)
    try:
        with pytest.raises(TargetError) as raised:
            require_free(tmp_path / "lock")
        assert "`plimsoll up` keeps services up while you train" in raised.value.hint
        with pytest.raises(TargetError, match="run r1 of 'tiny' has been running"):
            RunLock(tmp_path / "lock").acquire("r2", "tiny")
    finally:
        lock.release()
    require_free(tmp_path / "lock")


@pytest.fixture
def versions(place: KeeperPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalKeeper:
    """Two versions of `m` are registered, of which the second is kept up; no process is started."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    registry = model_registry(place.state)
    for number in (1, 2):
        model = tmp_path / "model.onnx"
        model.write_bytes(b"%d" % number)
        lineage = Lineage(run="r", step="train/m", key=str(number))
        registry.add("m", {"model.onnx": model}, lineage=lineage, metrics={}, accept={})
    keeper = LocalKeeper(place.state)
    monkeypatch.setattr(keeper, "_ensure", lambda: None)
    up(keeper)
    return keeper


def up(keeper: LocalKeeper) -> None:
    keeper.keep([Step(part="m", key="k", work=Serve(service="m", model="m@2"))], {"m": Serve(service="m", model="m")})


def shared(place: KeeperPlace, weights: dict[str, int], former: str) -> ServiceFile:
    """Have the service share its requests so, as promotions leave it."""
    file = place.service_file("m")
    content = read_service_file(file)
    one, two = (version_file(*version_for_use(place.state, f"m@{number}", None), None) for number in (1, 2))
    shares = tuple(Share(version=version, weight=weight) for version, weight in weights.items())
    content = replace(content, models=(one, two), traffic={"m": shares}, former={"m": former})
    file.write_bytes(msgspec.json.encode(content))
    return content


def test_shares_and_the_way_back_outlive_a_service_that_is_ended_and_begun_again(
    place: KeeperPlace, versions: LocalKeeper
) -> None:
    before = shared(place, {"2": 90, "1": 10}, "1")
    assert versions.release(()) == ["m"]
    assert place.wanted() == {}
    up(versions)
    assert list(place.wanted()) == ["m"]
    assert read_service_file(place.service_file("m")) == before


def test_a_service_that_begins_with_another_version_goes_back_to_the_one_it_had(
    place: KeeperPlace, versions: LocalKeeper
) -> None:
    shared(place, {"1": 100, "2": 0}, "2")
    versions.release(())
    up(versions)
    content = read_service_file(place.service_file("m"))
    assert (leading_version(content), content.former) == ("2", {"m": "1"})


def test_a_version_that_is_gone_is_no_way_back(place: KeeperPlace, versions: LocalKeeper) -> None:
    shared(place, {"1": 100, "2": 0}, "2")
    versions.release(())
    registry = model_registry(place.state)
    registry.delete([registry.find("m@1")])
    up(versions)
    assert read_service_file(place.service_file("m")).former == {}
