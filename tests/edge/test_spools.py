"""Logs that wait on a device: nothing lost or counted twice at any cut, nothing beyond the bounds."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.edge.agent.spool import Spool, pack


def aged(spool: Spool) -> None:
    past = time.time() - 60
    for each in spool.waiting():
        os.utime(each.path, (past, past))


def write(path: Path, lines: list[str]) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["take", "send", "send twice", "restart"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_line_arrives_once_and_in_order_whatever_is_cut(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    directory = tmp_path_factory.getbasetemp() / "spool"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    log, written = directory / "audit.jsonl", 0
    arrived: dict[int, bytes] = {}
    spool = Spool(directory / "s")

    def send() -> None:
        aged(spool)
        for each in spool.ready():
            content = each.path.read_bytes()
            assert arrived.setdefault(each.number, content) == content, "a number stands for two files"
            if step != "send twice":
                spool.sent(each)

    for step, number in [*steps, ("take", 0), ("send", 0)]:
        if step == "write":
            write(log, [str(each) for each in range(written, written + number)])
            written += number
        elif step == "take":
            spool.take("m", "audit", log)
        elif step == "restart":
            spool = Spool(directory / "s")
        else:
            send()
    lines = b"".join(arrived[number] for number in sorted(arrived)).split()
    assert lines == [str(each).encode() for each in range(written)]
    assert sorted(arrived) == list(range(1, len(arrived) + 1))


def test_a_file_that_may_still_be_written_to_is_not_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    write(tmp_path / "audit.jsonl", ["1"])
    assert spool.take("m", "audit", tmp_path / "audit.jsonl")
    assert spool.ready() == []


def test_the_oldest_lines_go_when_there_is_no_room_and_they_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    for number in range(4):
        write(tmp_path / "audit.jsonl", ["x" * 100] * (number + 1))
        spool.take("m", "audit", tmp_path / "audit.jsonl")
    assert spool.bound(800, keep=3600) == 3
    assert [each.number for each in spool.waiting()] == [3, 4]
    assert (Spool(tmp_path / "s").dropped, Spool(tmp_path / "s").newest) == (3, 4)
    aged(spool)
    assert spool.bound(800, keep=10) == 7


def test_an_empty_log_and_none_are_not_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    (tmp_path / "audit.jsonl").touch()
    assert not spool.take("m", "audit", tmp_path / "audit.jsonl")
    assert not spool.take("m", "audit", tmp_path / "none.jsonl")


def test_a_packed_file_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    write(tmp_path / "a", ["1", "2"])
    pack(tmp_path / "a", tmp_path / "one.gz")
    time.sleep(0.01)
    pack(tmp_path / "a", tmp_path / "two.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"1\n2\n"
