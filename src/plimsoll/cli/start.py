"""The entry point of the command: until everything is imported, Ctrl-C ends it at once, and without a traceback."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C has ended."""


def main() -> NoReturn:
    """Import the command line, and run it."""
    # Where the caller has it ignored (`nohup`, a job in the background), it stays so.
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, _end)
    from plimsoll.cli.main import main as run

    try:
        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Nothing was begun yet. An exception may be lost in an import, or change into another one."""
    os._exit(INTERRUPTED)
