"""The user's own code in a sandbox: its command line, its variables, and how it has ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence

from plimsoll.runtime.isolation.seccomp import system_call_filter
from plimsoll.runtime.isolation.variables import inside
from plimsoll.runtime.server.service_file import Sandboxed

_LEFT_ALONE = ("env", "--ignore-signal=TERM")
"""bubblewrap itself stays when the group is told to end, so that what it runs can do so in its own time."""
_AS_BEFORE = ("env", "--default-signal=TERM")
_BY_SIGNAL = 128
"""Statuses above this are signals, as shells have it."""


@contextlib.contextmanager
def sandboxed(sandbox: Sandboxed | None, argv: Sequence[str]) -> Iterator[tuple[Sequence[str], tuple[int, ...]]]:
    """The command line in its sandbox, and the descriptors that it needs until it is started."""
    if sandbox is None:
        yield argv, ()
        return
    program = system_call_filter(os.uname().machine) if sandbox.strict else b""
    if not program:
        yield (*_LEFT_ALONE, *sandbox.argv, "--", *_AS_BEFORE, *argv), ()
        return
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, program)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield (*_LEFT_ALONE, *sandbox.argv, "--seccomp", str(descriptor), "--", *_AS_BEFORE, *argv), (descriptor,)
    finally:
        os.close(descriptor)


def variables_inside(sandbox: Sandboxed, variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of a process in its sandbox."""
    if not sandbox.strict:
        return variables
    return inside(variables, os.environ, network=sandbox.network, more=sandbox.variables)


def ending_inside(sandbox: Sandboxed | None, code: int | None) -> int | None:
    """The exit status of what ran in a sandbox, with signals as Python gives them."""
    if sandbox is None or code is None or not _BY_SIGNAL < code <= _BY_SIGNAL + signal.NSIG:
        return code
    return _BY_SIGNAL - code
