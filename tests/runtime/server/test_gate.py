"""Whose turn it is at a language model: in order, never more than there are slots, and no slot is lost."""

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
