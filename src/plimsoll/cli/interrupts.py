"""Ctrl-C and SIGTERM for verbs that end what they do in good order."""

from __future__ import annotations

import signal
from types import FrameType


def catch_stop_signals() -> list[int]:
    """The numbers of the signals that come from now on; a verb looks at it, and nothing else ends it."""
    caught: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        caught.append(number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return caught
