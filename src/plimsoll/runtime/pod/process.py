"""The environment of our processes in a pod, and the report of their errors."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.pod_task import (
    DEPENDENCIES,
    RANK_VARIABLE,
    TASK_VARIABLE,
    TERMINATION_LOG,
    PodTask,
    TerminationReport,
    decode_task,
)

_MAX_REASON_LENGTH = 2000


def read_pod_task() -> PodTask:
    """Read the task of this pod. Raises a lasting TargetError when it cannot be read."""
    try:
        return decode_task(os.environ[TASK_VARIABLE])
    except (*UNREADABLE, KeyError) as error:
        raise TargetError(f"cannot read the task of the pod in {TASK_VARIABLE}: {error!r}", lasting=True) from error


def command_environment() -> dict[str, str]:
    """The environment of the command: without our own variables, except those of the application file's contract."""
    left_out = {TASK_VARIABLE, RANK_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["PYTHONPATH"] = DEPENDENCIES
    environment["PATH"] = f"{DEPENDENCIES}/bin:{environment.get('PATH', os.defpath)}"
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("HOME", "/tmp")  # noqa: S108  # in a container
    return environment


@contextlib.contextmanager
def reporting_errors() -> Iterator[None]:
    """Exit with status 1 on a PlimsollError, and write its reason to the pod's termination message.

    SIGTERM ends the process at once until the block sets its own handler: the kernel does not end the first process of
    a container by a signal without a handler.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except PlimsollError as error:
        report = TerminationReport(reason=error.on_one_line()[:_MAX_REASON_LENGTH], lasting=error.lasting)
        sys.stderr.write(f"error: {report.reason}\n")
        path = Path(TERMINATION_LOG)
        if path.exists():
            # The kubelet mounts this single file, so it can be written but not replaced.
            path.write_bytes(msgspec.json.encode(report))
        sys.exit(1)
