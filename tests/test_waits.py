"""Whoever waits is told what for."""

from __future__ import annotations

import threading
import time

from plimsoll.waits import tell_waits, waiting_for


def test_a_wait_that_lasts_is_told_once_and_again_when_its_words_change() -> None:
    told: list[str] = []
    fresh = threading.Event()
    words = ["the first"]

    def tell(text: str) -> None:
        told.append(text)
        fresh.set()

    with tell_waits(tell, first=0.02), waiting_for(lambda: words[0]):
        assert fresh.wait(10)
        fresh.clear()
        words[0] = "the second"
        assert fresh.wait(10)
    assert told == ["waiting for the first", "waiting for the second"]


def test_the_innermost_wait_is_the_one_that_is_told() -> None:
    told: list[str] = []
    fresh = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        if text == "waiting for an answer":
            fresh.set()

    with tell_waits(tell, first=0.02), waiting_for("the end"), waiting_for("an answer"):
        assert fresh.wait(10)
        time.sleep(0.1)
    # On a busy machine the outer wait may be told before the inner one has begun, and never after it.
    assert told[-1] == "waiting for an answer"


def test_a_short_wait_is_not_told_and_one_that_nobody_hears_costs_nothing() -> None:
    told: list[str] = []
    with tell_waits(told.append, first=30), waiting_for("a moment"):
        pass
    with waiting_for("nobody"):
        pass
    assert told == []
