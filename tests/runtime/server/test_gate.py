"""Whose turn it is at a language model and its replicas: in order, never more than there are slots, none is lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from plimsoll.runtime.server.llms.gate import Gate
from plimsoll.runtime.server.refusals import Busy


def test_requests_get_their_turn_in_the_order_in_which_they_came() -> None:
    async def run() -> list[int]:
        gate, order = Gate(1, 10), []

        async def one(number: int) -> None:
            await gate.enter()
            order.append(number)
            await asyncio.sleep(0)
            gate.leave(0.0)

        await asyncio.gather(*map(one, range(6)))
        return order

    assert asyncio.run(run()) == list(range(6))


def test_beyond_the_queue_a_request_is_refused_with_the_time_until_its_turn_would_come() -> None:
    async def run() -> Busy:
        gate = Gate(1, 1)
        await gate.enter()
        gate.leave(100.0)
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        with pytest.raises(Busy) as refused:
            await gate.enter()
        waiting.cancel()
        return refused.value

    refused = asyncio.run(run())
    assert refused.retry_after is not None
    assert 20 < refused.retry_after <= 60


def test_without_a_queue_only_the_slots_are_given() -> None:
    async def run() -> None:
        gate = Gate(2, 0)
        await gate.enter()
        await gate.enter()
        with pytest.raises(Busy):
            await gate.enter()

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(20))
def test_whoever_leaves_while_waiting_takes_no_slot_along(seed: int) -> None:
    draw = random.Random(seed)

    async def run() -> Gate:
        gate = Gate(3, 1000)
        most = 0

        async def one() -> None:
            nonlocal most
            await gate.enter()
            most = max(most, gate.inside)
            try:
                for _ in range(draw.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                gate.leave(0.0)

        tasks = [asyncio.create_task(one()) for _ in range(60)]
        while not all(task.done() for task in tasks):
            draw.choice(tasks).cancel()
            await asyncio.sleep(0)
        assert most <= 3
        return gate

    gate = asyncio.run(run())
    assert (gate.inside, gate.waiting) == (0, 0)


def test_a_request_waits_for_its_replica_while_the_others_have_something_to_do() -> None:
    async def run() -> list[tuple[str, int]]:
        gate, order = Gate(2, 10, replicas=2), []
        assert [await gate.enter(0), await gate.enter(0), await gate.enter(1)] == [0, 0, 1]

        async def one(name: str, replica: int) -> None:
            order.append((name, await gate.enter(replica)))

        waiting = asyncio.create_task(one("known at 0", 0))
        await asyncio.sleep(0)
        assert (gate.waiting, gate.inside, gate.loads) == (1, 3, [3, 1])
        gate.leave(0.0, 0)
        await waiting
        return order

    assert asyncio.run(run()) == [("known at 0", 0)]


def test_a_replica_with_nothing_to_do_takes_the_first_of_the_longest_line() -> None:
    async def run() -> list[tuple[int, int]]:
        gate, order = Gate(1, 10, replicas=2), []
        await gate.enter(0)
        await gate.enter(1)

        async def one(number: int) -> None:
            order.append((number, await gate.enter(0)))

        tasks = [asyncio.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        gate.leave(0.0, 1)
        await asyncio.sleep(0)
        gate.leave(0.0, 0)
        gate.leave(0.0, 1)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == [(0, 1), (1, 0), (2, 1)]


def test_nobody_is_refused_while_any_replica_has_a_slot() -> None:
    async def run() -> int:
        gate = Gate(2, 0, replicas=2)
        assert [await gate.enter(0), await gate.enter(0), await gate.enter(1)] == [0, 0, 1]
        last = await gate.enter(0)
        with pytest.raises(Busy):
            await gate.enter(0)
        return last

    assert asyncio.run(run()) == 1


def test_a_replica_that_is_not_up_takes_nothing_from_the_others_lines() -> None:
    async def run() -> tuple[int, int]:
        gate = Gate(1, 10, replicas=2, is_up=lambda replica: replica == 0)
        await gate.enter(0)
        waiting = asyncio.create_task(gate.enter(0))
        await asyncio.sleep(0)
        gate.leave(0.0, 0)
        return await waiting, gate.waiting

    assert asyncio.run(run()) == (0, 0)


def test_whoever_was_let_in_before_is_not_refused_for_a_full_queue() -> None:
    async def run() -> int:
        gate = Gate(1, 0, replicas=2)
        await gate.enter(0)
        await gate.enter(1)
        with pytest.raises(Busy):
            await gate.enter(1)
        again = asyncio.create_task(gate.enter(1, again=True))
        await asyncio.sleep(0)
        gate.leave(0.0, 1)
        return await again

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("leaving", [False, True])
def test_replicas_lose_no_slot_and_nobody_waits_beside_one_with_nothing_to_do(seed: int, leaving: bool) -> None:
    draw = random.Random(seed)

    async def run() -> Gate:
        gate = Gate(2, 1000, replicas=3)

        async def one() -> None:
            replica = await gate.enter(draw.randrange(3))
            try:
                for _ in range(draw.randrange(4)):
                    await asyncio.sleep(0)
                    # Who has just left is counted until its task has ended.
                    assert leaving or not (gate.waiting and 0 in gate.loads)
            finally:
                gate.leave(0.0, replica)

        tasks = [asyncio.create_task(one()) for _ in range(80)]
        while not all(task.done() for task in tasks):
            if leaving:
                draw.choice(tasks).cancel()
            await asyncio.sleep(0)
        assert [task.exception() for task in tasks if not task.cancelled() and task.exception()] == []
        return gate

    gate = asyncio.run(run())
    assert (gate.inside, gate.waiting, gate.loads) == (0, 0, [0, 0, 0])
