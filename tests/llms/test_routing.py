"""Which replica answers: the one that has read the beginning, within its share of the work; and what is remembered."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.llms.prefixes import BLOCK, MOST_BLOCKS, MOST_KNOWN, Prefixes, blocks_of
from plimsoll.llms.requests import Asked, read_request
from plimsoll.llms.routing import SPREAD, Chosen, Router


def asked(*said: str, **more: object) -> Asked:
    messages = [{"role": "user", "content": each} for each in said]
    return read_request("chat", json.dumps({"model": "writer", "messages": messages, **more}).encode())


def text(seed: int, blocks: int) -> str:
    """A text of so many blocks that has nothing in common with another's."""
    return random.Random(seed).randbytes(blocks * BLOCK // 2).hex()


def common(one: Sequence[int], other: Sequence[int]) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def test_two_requests_share_the_blocks_of_their_common_beginning_and_no_others() -> None:
    rules = text(1, 4)
    one, other = blocks_of(asked(rules + text(2, 3))), blocks_of(asked(rules + text(3, 3)))
    assert len(one) == len(other) == 7
    assert common(one, other) == 4
    # What is the same further back is another block where something else stands before it.
    assert not set(blocks_of(asked("a" + rules))) & set(blocks_of(asked("b" + rules)))


def test_a_conversation_goes_on_from_its_blocks() -> None:
    before = blocks_of(asked(text(1, 3), text(2, 3)))
    assert common(before, blocks_of(asked(text(1, 3), text(2, 3), text(3, 3)))) == len(before)


@pytest.mark.parametrize("more", [{"model": "style"}, {"tools": [{"type": "function"}]}, {"reasoning_effort": "low"}])
def test_what_an_engine_reads_differently_has_other_blocks(more: dict[str, object]) -> None:
    assert common(blocks_of(asked(text(1, 3))), blocks_of(asked(text(1, 3), **more))) == 0


@pytest.mark.parametrize("prompt", ["a" * 20 * BLOCK, [1] * 20 * BLOCK])
def test_a_prompt_has_blocks_as_messages_have(prompt: object) -> None:
    found = blocks_of(read_request("completion", json.dumps({"model": "writer", "prompt": prompt}).encode()))
    assert len(found) >= 20


def test_a_short_request_has_none_and_a_huge_one_no_more_than_are_looked_at() -> None:
    assert blocks_of(asked("hi")) == ()
    assert len(blocks_of(asked("é" * 4 * BLOCK * MOST_BLOCKS))) == MOST_BLOCKS


def test_the_longest_known_beginning_decides_and_of_equal_ones_the_latest_reader() -> None:
    known = Prefixes()
    rules, long = [1, 2], [1, 2, 3, 4]
    known.remember(rules, 0)
    known.remember(long, 1)
    assert known.readers([1, 2, 3, 9]) == [1, 0]
    known.remember(rules, 0)
    assert known.readers([1, 2, 9]) == [0, 1]
    assert known.readers([9, 2, 3]) == []


def test_a_replica_that_has_ended_is_known_for_nothing() -> None:
    known = Prefixes()
    known.remember([1, 2], 0)
    known.remember([1, 3], 1)
    known.forget(0)
    assert known.readers([1, 2]) == [1]
    known.forget(1)
    assert len(known) == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 3)), max_size=200))
def test_memory_is_bounded_whatever_is_asked_and_nothing_is_left_without_its_beginning(
    requests: list[tuple[int, int, int]],
) -> None:
    known = Prefixes(most=50)
    for prefix, length, replica in requests:
        blocks = [prefix * 1000 + number for number in range(length)]
        known.remember(blocks, replica)
        assert len(known) <= 50
        assert known.readers(blocks)[0] == replica
    for prefix in range(41):
        if not known.readers([prefix * 1000]):
            assert all(not known.readers([prefix * 1000 + number]) for number in range(1, 30))


ASKED = """
import json
from pathlib import Path

from plimsoll.llms.routing import Router

router, sizes = Router(2), []
for number in range(140_000):
    # As `blocks_of` makes them: each is an object of its own, and none is like another.
    router.choose([hash((number, each)) for each in range(2)], [0, 0], [0, 1])
    if number in (39_999, 139_999):
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]))
print(json.dumps([len(router.known), *sizes]))
"""
"""Fills what is remembered, and goes on for 100,000 beginnings."""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells memory as Linux does")
def test_an_hour_of_ever_new_beginnings_takes_no_more_than_its_bound() -> None:
    ended = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=50, check=True)
    known, full, after = json.loads(ended.stdout)
    assert known == MOST_KNOWN
    # 100,000 beginnings more would be some 40 MB; a table that was filled anew takes one step of 4.
    assert (after - full) * os.sysconf("SC_PAGE_SIZE") < 10 << 20


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=120))
def test_no_replica_gets_more_than_its_share_however_hot_a_beginning_is(
    replicas: int, events: list[tuple[int, bool]]
) -> None:
    router = Router(replicas)
    loads = [0] * replicas
    for prefix, ends in events:
        if ends and any(loads):
            loads[loads.index(max(loads))] -= 1
            continue
        most = math.ceil(SPREAD * (sum(loads) + 1) / replicas)
        chosen = router.choose([prefix, prefix + 10], loads, range(replicas)).replica
        assert loads[chosen] < most
        loads[chosen] += 1


def test_a_beginning_stays_where_it_was_read_and_new_ones_go_where_there_is_least_to_do() -> None:
    router = Router(2)
    first = router.choose([1], [0, 0], [0, 1])
    second = router.choose([2], [1, 0], [0, 1])
    assert (first.why, second.why) == ("new", "new")
    assert first.replica != second.replica
    assert router.choose([2, 3], [1, 1], [0, 1]) == Chosen(second.replica, "prefix")
    loads = [0, 0]
    loads[second.replica] = 9
    assert router.choose([2, 3], loads, [0, 1]) == Chosen(first.replica, "load")


def test_without_a_known_beginning_replicas_have_their_turns() -> None:
    router = Router(3)
    assert [router.choose([], [0, 0, 0], [0, 1, 2]).replica for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_by_load_alone_nothing_is_remembered_of_beginnings() -> None:
    router = Router(2, "load")
    assert not router.looks_at_beginnings
    assert [router.choose((), [0, 0], [0, 1]).replica for _ in range(4)] == [0, 1, 0, 1]
    assert not Router(1).looks_at_beginnings


def test_only_those_that_are_up_are_chosen() -> None:
    router = Router(3)
    at = router.choose([1, 2], [0, 0, 0], [0, 1, 2]).replica
    left = [each for each in range(3) if each != at]
    assert router.choose([1, 2], [0, 0, 0], left).replica in left
