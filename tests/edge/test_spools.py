"""Logs that wait on a device: nothing lost or counted twice at any cut, nothing beyond the bounds."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.edge.agent import spool as spools
from plimsoll.edge.agent.log_sender import logged
from plimsoll.edge.agent.packing import pack
from plimsoll.edge.agent.spool import Spool
from plimsoll.edge.documents import UploadRule

ALL = UploadRule()


def aged(spool: Spool) -> None:
    past = time.time() - 60
    for path in spool._directory.glob("*.jsonl"):
        os.utime(path, (past, past))


def write(path: Path, lines: list[str]) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def taken(spool: Spool, log: Path, lines: list[str], name: str = "audit") -> None:
    write(log, lines)
    assert spool.take("m", name, log)


def unpacked(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 5)),
        st.tuples(
            st.sampled_from(["take", "press", "press offline", "send", "send twice", "restart", "cut"]), st.just(0)
        ),
    ),
    max_size=40,
)


class _Cut(Exception):
    pass


def cut_press(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press, and have the power go when the pressed file is there and what it was made of too."""
    with monkeypatch.context() as patched:

        def flushed(_path: object) -> None:
            raise _Cut

        patched.setattr(spools, "flush", flushed)
        with contextlib.suppress(_Cut):
            spool.press(ALL, linked=True)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_every_line_arrives_once_and_in_order_whatever_is_cut(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    directory = tmp_path_factory.getbasetemp() / "spool"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    log, written = directory / "audit.jsonl", 0
    arrived: dict[int, list[str]] = {}
    spool = Spool(directory / "s")
    patching = pytest.MonkeyPatch()

    for step, number in [*steps, ("take", 0), ("press", 0), ("send", 0)]:
        if step == "write":
            write(log, [str(each) for each in range(written, written + number)])
            written += number
        elif step == "take":
            spool.take("m", "audit", log)
        elif step == "restart":
            spool = Spool(directory / "s")
        elif step == "cut":
            aged(spool)
            cut_press(spool, patching)
            spool = Spool(directory / "s")
        elif step.startswith("press"):
            aged(spool)
            spool.press(ALL, linked=step == "press")
        else:
            for each in spool.waiting():
                content = unpacked(each.path)
                assert arrived.setdefault(each.number, content) == content, "a number stands for two files"
                if step != "send twice":
                    spool.sent(each)
    lines = [line for number in sorted(arrived) for line in arrived[number]]
    assert lines == [str(each) for each in range(written)]
    assert sorted(arrived) == list(range(1, len(arrived) + 1))


def test_a_file_that_may_still_be_written_to_is_not_pressed_nor_what_came_after_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    taken(spool, tmp_path / "audit.jsonl", ["1"])
    spool.press(ALL, linked=True)
    assert spool.waiting() == []


def test_what_waited_for_a_day_is_pressed_together_when_the_link_is_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    for number in range(200):
        taken(spool, tmp_path / "audit.jsonl", [f"{number}"])
        taken(spool, tmp_path / "access.jsonl", [f"{number}"], "access")
    aged(spool)
    spool.press(ALL, linked=False)
    assert spool.waiting() == []
    spool.press(ALL, linked=True)
    assert [(each.number, each.log) for each in spool.waiting()] == [(1, "audit"), (2, "access")]
    assert unpacked(spool.waiting()[0].path) == [str(each) for each in range(200)]


def test_without_a_link_what_is_large_is_pressed_so_that_the_disk_keeps_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    taken(spool, tmp_path / "audit.jsonl", ["x" * 1000] * 1100)
    aged(spool)
    before = spool.size
    spool.press(ALL, linked=False)
    assert spool.size < before / 10


def test_the_oldest_lines_go_when_there_is_no_room_and_they_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    for number in range(4):
        taken(spool, tmp_path / "audit.jsonl", ["x" * 100] * (number + 1))
    assert spool.bound(800, keep=3600) == 3
    aged(spool)
    spool.press(ALL, linked=True)
    assert [len(unpacked(each.path)) for each in spool.waiting()] == [7]
    again = Spool(tmp_path / "s")
    assert (again.dropped, again.newest) == (3, 1)
    # What was pressed waits as long as what it was made of.
    assert again.bound(800, keep=10) == 7


def test_an_empty_log_and_none_are_not_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    (tmp_path / "audit.jsonl").touch()
    assert not spool.take("m", "audit", tmp_path / "audit.jsonl")
    assert not spool.take("m", "audit", tmp_path / "none.jsonl")


def test_what_a_server_has_put_aside_is_taken_before_its_log(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    for name, line in (
        ("audit.jsonl", "3"),
        ("audit.jsonl.1", "2"),
        ("audit.jsonl.2", "1"),
        ("audit.jsonl.head", "{}"),
    ):
        write(tmp_path / name, [line])
    assert spool.take("m", "audit", tmp_path / "audit.jsonl")
    aged(spool)
    spool.press(ALL, linked=True)
    assert unpacked(spool.waiting()[0].path) == ["1", "2", "3"]


def test_lines_that_nobody_wants_get_no_number_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    taken(spool, tmp_path / "audit.jsonl", ['{"event":"inference","status":200}'] * 5)
    aged(spool)
    spool.press(UploadRule(send=False), linked=True)
    assert (spool.waiting(), spool.newest, Spool(tmp_path / "s").left, spool.size) == ([], 0, 5, 0)


def test_a_packed_file_has_the_same_bytes_each_time_and_ends_its_last_line(tmp_path: Path) -> None:
    write(tmp_path / "a", ["1", "2"])
    (tmp_path / "b").write_text("3\n4")
    assert pack([tmp_path / "a", tmp_path / "b"], tmp_path / "one.gz", ALL) == (4, 0)
    time.sleep(0.01)
    pack([tmp_path / "a", tmp_path / "b"], tmp_path / "two.gz", ALL)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"1\n2\n3\n4\n"


@pytest.mark.parametrize(
    ("newest", "waiting", "told"),
    [
        (0, [], (0, ())),
        (4, [], (4, ())),
        (4, [3, 4], (2, ())),
        (4, [1, 2], (4, ((1, 2),))),
        (9, [1, 3, 4, 9], (8, ((1, 1), (3, 4)))),
        (2, [1, 2], (0, ())),
    ],
)
def test_a_report_names_what_is_sent_and_what_still_waits(
    newest: int, waiting: list[int], told: tuple[int, tuple[tuple[int, int], ...]]
) -> None:
    assert logged(newest, waiting) == told


def test_a_report_stays_small_when_what_waits_has_many_gaps() -> None:
    newest, ranges = logged(1000, list(range(1, 1000, 2)))
    assert (len(ranges), newest) == (100, 200)
