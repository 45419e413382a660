from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.telemetry import json_lines
from plimsoll.telemetry.json_lines import JsonLinesFile


@pytest.fixture
def limited() -> Iterator[None]:
    """Takes the limit on the size of files away again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(path: Path, room: int) -> None:
    """Leave room for so many more bytes, as a full disk does."""
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (path.stat().st_size + room, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("room", [0, 7, 15, 30])
def test_lines_that_a_full_disk_refused_are_written_whole_when_it_has_room(tmp_path: Path, room: int) -> None:
    path = tmp_path / "log.jsonl"
    log = JsonLinesFile(str(path), lossless=True)
    log.write([{"number": 0}])
    fill(path, room)
    log.write([{"number": 1}, {"number": 2}])
    log.write([{"number": 3}])
    while_full = log.problem
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    log.close()

    assert "File too large" in while_full
    assert log.problem == ""
    assert numbers(path) == [0, 1, 2, 3]


@pytest.mark.usefixtures("limited")
def test_a_log_that_may_lose_lines_keeps_the_newest_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MOST_PENDING", 30)
    path = tmp_path / "log.jsonl"
    log = JsonLinesFile(str(path))
    log.write([{"number": 0}])
    fill(path, 0)
    for number in range(1, 10):
        log.write([{"number": number}])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    log.close()

    assert numbers(path) == [0, 8, 9]
    assert log.lost == 7


def test_only_the_owner_reads_a_log(tmp_path: Path) -> None:
    before = os.umask(0)
    JsonLinesFile(str(tmp_path / "log.jsonl")).close()
    os.umask(before)

    assert stat.S_IMODE((tmp_path / "log.jsonl").stat().st_mode) == 0o600


def test_a_long_log_is_followed_by_a_new_one_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MOST_BYTES", 14)
    monkeypatch.setattr(json_lines, "KEPT", 2)
    path = tmp_path / "log.jsonl"
    one, other = JsonLinesFile(str(path)), JsonLinesFile(str(path))
    for number in range(5):
        (one if number % 2 else other).write([{"number": number}])
    one.close()
    other.close()

    assert numbers(path) == [4]
    assert numbers(tmp_path / "log.jsonl.1") == [2, 3]
    assert numbers(tmp_path / "log.jsonl.2") == [0, 1]
    assert len(list(tmp_path.iterdir())) == 3
