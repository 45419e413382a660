"""The lines of a log over several links to it: each one once, and none that the program did not print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.targets.kubernetes.log_lines import Lines


def stamped(second: int, text: str) -> bytes:
    return f"2026-01-01T00:00:{second:02}.123456789Z {text}\n".encode()


def link(lines: Lines, *pieces: bytes) -> bytes:
    lines.begin()
    return b"".join(lines.fresh(piece) for piece in pieces)


def test_lines_of_the_overlapping_second_come_once_even_when_they_are_the_same() -> None:
    lines = Lines()
    same = stamped(1, "tick")
    assert link(lines, same, same) == b"tick\ntick\n"
    assert lines.since == "2026-01-01T00:00:00Z"
    assert link(lines, same, same, same, stamped(2, "tock")) == b"tick\ntock\n"


def test_after_a_rotation_the_first_lines_of_the_new_file_are_new() -> None:
    lines = Lines()
    assert link(lines, *(stamped(1, f"old {number}") for number in range(100))).count(b"\n") == 100
    assert link(lines, stamped(9, "new")) == b"new\n"


@pytest.mark.parametrize(
    "remnant",
    [
        'failed to watch file "/var/log/pods/x/0.log": no such file or directory',
        "unable to retrieve container logs for containerd://0123456789abcdef",
        "failed to create fsnotify watcher: too many open files",
        'rpc error: code = NotFound desc = an error occurred when try to find container "x": not found',
    ],
)
def test_the_kubelets_own_words_are_no_lines_of_the_program(remnant: str) -> None:
    lines = Lines()
    assert link(lines, stamped(1, "one"), remnant.encode()) == b"one\n"
    assert lines.finish() == b""
    assert lines.remnant == remnant
    assert link(lines, stamped(1, "one"), stamped(2, "two")) == b"two\n"
    assert lines.remnant == ""


def test_a_program_may_print_such_words_itself() -> None:
    lines = Lines()
    assert link(lines, stamped(1, "rpc error: code = NotFound")) == b"rpc error: code = NotFound\n"


def test_a_line_in_pieces_is_one_line_and_one_that_breaks_off_comes_again_whole() -> None:
    lines = Lines()
    whole = stamped(1, "a long line")
    assert link(lines, whole[:5], whole[5:40]) == b""
    assert link(lines, whole[:7], whole[7:33], whole[33:]) == b"a long line\n"


def test_a_last_line_without_its_end_is_taken_when_the_program_has_ended() -> None:
    lines = Lines()
    assert link(lines, stamped(1, "one"), stamped(1, "no end")[:-1]) == b"one\n"
    assert lines.finish() == b"no end"


@given(
    seconds=st.lists(st.integers(0, 5), min_size=1, max_size=40).map(sorted),
    cuts=st.lists(st.integers(0, 40), max_size=5).map(sorted),
    rotated=st.integers(0, 40),
)
def test_whatever_breaks_each_line_comes_once_and_in_order(seconds: list[int], cuts: list[int], rotated: int) -> None:
    """Links break after so many lines; a rotation takes away what was read before."""
    printed = [
        stamped(second, f"{number % 3}").replace(b"123456789", b"%09d" % number)
        for number, second in enumerate(seconds)
    ]
    lines, taken, read = Lines(), b"", 0
    for cut in [*cuts, len(printed)]:
        first = min(rotated, read)
        since = lines.since[:19]
        given_now = [line for line in printed[first : max(cut, read)] if line[:19].decode() >= since]
        taken += link(lines, *given_now)
        read = max(cut, read)
    assert taken.splitlines() == [line.split(b" ", 1)[1].strip() for line in printed]
