"""The standard streams: there, and able to take any text, whatever the caller left of them."""

from __future__ import annotations

import io
import os
import sys


def open_standard_streams() -> None:
    """Lead a closed standard stream to the null device, and let the others take every character.

    A daemon may start us with closed streams. Without this the next file that is opened becomes standard output, and
    the output of child processes is written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one: all below it are open.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives with the process
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name of a file may have bytes that are no UTF-8, and a terminal may know few characters.
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Let what is still to be written to standard output vanish: its reader has gone, or its disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
