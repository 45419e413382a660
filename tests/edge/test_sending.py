"""A device's logs on their way: a budget of a day, the newest first, and an owner who gets each line once."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.edge.agent import log_sender
from plimsoll.edge.documents import UploadRule
from plimsoll.registry.problems import RegistryError
from tests.edge.groups import Device, Fleets
from tests.servers import registry


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry"), in_memory=True) as found:
        yield found.host


@pytest.fixture
def fleets(tmp_path: Path, place: str) -> Iterator[Fleets]:
    made = Fleets(tmp_path, f"{place}/s{abs(hash(tmp_path.name)) % 10**8}", {"cabs": {}})
    made.release("cabs")
    yield made
    made.close()


def log(cab: Device, *lines: str) -> None:
    """Lines of a service that the agent takes."""
    path = cab.disk.root / "audit.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    spool = cab.agent._logs.spool
    assert spool.take("m", "audit", path)
    past = time.time() - 60
    for each in spool._directory.glob("*.jsonl"):
        os.utime(each, (past, past))
    spool.press(UploadRule(), linked=True)


def collected(fleets: Fleets, output: Path) -> tuple[list[str], tuple[int, ...]]:
    (found,) = fleets.owners["cabs"].collect(output)
    paths = sorted((output / "cab-1").glob("*.jsonl"))
    return [line for path in paths for line in path.read_text().splitlines()], found.missing


def test_the_newest_is_sent_first_and_the_owner_asks_for_what_waits_later(fleets: Fleets, tmp_path: Path) -> None:
    cab = fleets.device("cabs", "cab-1")
    for number in range(4):
        log(cab, *[f"{number} {os.urandom(3000).hex()}"] * 10)
    (size, *_) = (each.size for each in cab.agent._logs.spool.waiting())
    rule = UploadRule(newest=True, budget=2 * (size + log_sender.AROUND) + 1000)
    assert not cab.agent._logs.send(rule)
    assert [each.number for each in cab.agent._logs.spool.waiting()] == [1, 2]
    cab.agent._report()
    lines, missing = collected(fleets, tmp_path / "logs")
    assert ({line.split()[0] for line in lines}, missing) == ({"2", "3"}, ())
    assert cab.agent._logs.budget.spent <= rule.budget

    assert not cab.agent._logs.send(UploadRule(newest=True))
    cab.agent._report()
    lines, missing = collected(fleets, tmp_path / "logs")
    assert ([line.split()[0] for line in lines[::10]], missing) == (["0", "1", "2", "3"], ())


def test_a_budget_holds_over_restarts_and_begins_anew_with_the_day(
    fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    cab = fleets.device("cabs", "cab-1")
    for number in range(3):
        log(cab, f"{number} {os.urandom(30_000).hex()}")
    rule = UploadRule(budget=60_000)
    cab.agent._logs.send(rule)
    assert len(cab.agent._logs.spool.waiting()) == 2
    cab.restart()
    cab.agent._logs.send(rule)
    assert len(cab.agent._logs.spool.waiting()) == 2
    monkeypatch.setattr(log_sender, "_today", lambda: "2030-01-01")
    cab.agent._logs.send(rule)
    assert len(cab.agent._logs.spool.waiting()) == 1


def test_a_file_that_no_day_has_room_for_is_dropped_and_told(fleets: Fleets, tmp_path: Path) -> None:
    cab = fleets.device("cabs", "cab-1")
    log(cab, os.urandom(100_000).hex())
    log(cab, "small")
    cab.agent._logs.send(UploadRule(budget=30_000))
    cab.agent._report()
    assert collected(fleets, tmp_path / "logs") == (["small"], (1,))
    report = fleets.owners["cabs"].fleet().devices["cab-1"].report
    assert report is not None
    assert (report.dropped, report.logged, report.waiting) == (1, 2, 0)


def test_a_device_that_lost_its_disk_counts_on_and_what_it_had_sent_stays(fleets: Fleets, tmp_path: Path) -> None:
    cab = fleets.device("cabs", "cab-1")
    for line in ("before 1", "before 2"):
        log(cab, line)
    cab.agent._logs.send(UploadRule())
    cab.agent._report()
    assert collected(fleets, tmp_path / "logs") == (["before 1", "before 2"], ())

    spool = cab.agent._logs.spool._directory
    shutil.rmtree(spool)
    cab.restart()
    log(cab, "after")
    cab.restart()
    cab.agent._report()
    assert not list(fleets.owners["cabs"].collect(tmp_path / "logs"))
    cab.agent._logs.send(UploadRule())
    cab.agent._report()
    assert collected(fleets, tmp_path / "logs") == (["before 1", "before 2", "after"], ())
    cab.restart()
    log(cab, "later")
    cab.agent._logs.send(UploadRule())
    cab.agent._report()
    assert collected(fleets, tmp_path / "logs") == (["before 1", "before 2", "after", "later"], ())


def test_a_link_that_is_down_costs_nothing_of_the_budget(fleets: Fleets, monkeypatch: pytest.MonkeyPatch) -> None:
    cab = fleets.device("cabs", "cab-1")
    log(cab, "one")

    def down(*_: object) -> None:
        raise RegistryError("the registry does not answer", where="r.example")

    monkeypatch.setattr(cab.agent._logs._place, "write", down)
    for _ in range(3):
        with pytest.raises(RegistryError):
            cab.agent._logs.send(UploadRule(budget=300_000))
    assert cab.agent._logs.budget.spent == 0


def test_devices_learn_from_the_state_which_lines_to_send(tmp_path: Path, place: str) -> None:
    from plimsoll.kinds.edge import Upload

    upload = Upload(sample="5%", uncertain=0.2, budget="1Mi", first="newest")
    fleets = Fleets(tmp_path, f"{place}/learn", {"cabs": {}}, upload=upload)
    fleets.release("cabs")
    cab = fleets.device("cabs", "cab-1")
    cab.agent.sync()
    rule = UploadRule(sample=0.05, uncertain=0.2, budget=1 << 20, newest=True)
    assert cab.agent._rule == rule
    assert json.loads((cab.disk.root / "state.json").read_text())["upload"]["newest"] is True
    fleets.close()
