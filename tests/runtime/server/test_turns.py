"""Turns of the event loop, with a loop that a test turns."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.runtime.server.turns import LEAST, READ_IN_TURN, STEPS_IN_TURN, Turns


class Loop:
    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self.ready.append(callback)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()


def test_all_that_is_long_together_has_one_share_of_a_turn() -> None:
    loop = Loop()
    turns = Turns(loop)

    assert not turns.took(READ_IN_TURN - LEAST - 1)
    assert not turns.took(1)
    assert turns.took(1)
    loop.turn()
    assert not turns.took(1)


def test_what_was_held_up_goes_on_in_its_order_some_at_a_time() -> None:
    loop = Loop()
    turns = Turns(loop)
    done: list[int] = []
    for number in range(STEPS_IN_TURN + 2):
        turns.later(lambda number=number: done.append(number))  # type: ignore[misc]

    loop.turn()
    assert done == list(range(STEPS_IN_TURN))
    loop.turn()
    assert done == list(range(STEPS_IN_TURN + 2))
    loop.turn()
    assert loop.ready == []


def test_a_step_that_asks_for_another_waits_behind_the_others() -> None:
    loop = Loop()
    turns = Turns(loop)
    done: list[str] = []

    def again() -> None:
        done.append("again")
        turns.later(lambda: done.append("its rest"))

    turns.later(again)
    turns.later(lambda: done.append("other"))
    loop.turn()
    loop.turn()
    assert done == ["again", "other", "its rest"]
