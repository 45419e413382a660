"""Ctrl-C and SIGTERM for verbs that end what they do in good order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


def catch_stop_signals(then: Callable[[], None] = lambda: None) -> list[int]:
    """The numbers of the signals that come from now on; a verb looks at it, and nothing else ends it.

    `then` is called at each, by the signal handler.
    """
    caught: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        caught.append(number)
        then()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return caught
