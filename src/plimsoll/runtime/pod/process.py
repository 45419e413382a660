"""What a process of ours finds in a pod, and how it says why it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.pod_task import DEPENDENCIES, RANK, TERMINATION, VARIABLE, Errand, Report, decoded

_LONGEST_REASON = 2000


def errand_of_pod() -> Errand:
    """What the pod was sent to do. Raises TargetError, a lasting one, when that cannot be read."""
    try:
        return decoded(os.environ[VARIABLE])
    except (KeyError, msgspec.DecodeError) as error:
        raise TargetError(f"the pod has no errand that can be read: {error!r}", lasting=True) from error


def plain_environment() -> dict[str, str]:
    """What the command sees: nothing of ours but what the application file promises."""
    left_out = {VARIABLE, RANK}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["PYTHONPATH"] = DEPENDENCIES
    environment["PATH"] = f"{DEPENDENCIES}/bin:{environment.get('PATH', os.defpath)}"
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("HOME", "/tmp")  # noqa: S108  # in a container
    return environment


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """An error of ours ends the process with status 1, and stands in the pod's termination message.

    SIGTERM ends it at once, until the block sets a handler of its own: the kernel does not end the first process of a
    container by a signal that it does not handle.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except PlimsollError as error:
        report = Report(reason=error.on_one_line()[:_LONGEST_REASON], lasting=error.lasting)
        sys.stderr.write(f"error: {report.reason}\n")
        path = Path(TERMINATION)
        if path.exists():
            # The kubelet has mounted it as one file: it cannot be replaced, only written.
            path.write_bytes(msgspec.json.encode(report))
        sys.exit(1)
