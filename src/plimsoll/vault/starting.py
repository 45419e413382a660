"""Starts the process that holds a vault open, and hears how that went."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.vault import header
from plimsoll.vault.key_sources import KeySource
from plimsoll.vault.problems import KeyProblem, SealedDamaged
from plimsoll.vault.sealer import Answer, Order
from plimsoll.waits import waiting_for

OPEN_LIMIT = 3600.0
"""Seconds in which all files are opened."""


def start_sealer(directory: Path, about: header.Header, source: KeySource | None) -> None:
    """Unwrap the data key, and start the process with it. Raises KeyProblem, SealedDamaged and TargetError."""
    if source is None and about.by_command:
        raise KeyProblem(
            "the state is sealed under a key that a command of the application file gives",
            where=str(header.path_of(directory)),
            hint="use a verb that reads the file first, such as `plimsoll plan`, with -f FILE",
        )
    source = source or about.by
    order = Order(state=str(directory), key=header.data_key_of(about, source, directory.parent))
    process = subprocess.Popen(
        [sys.executable, "-m", "plimsoll.vault"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name != source.env},
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101 - they are pipes
    with waiting_for("the sealed state to be opened"), process.stdout:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(msgspec.json.encode(order))
        said = _said(process.stdout.fileno(), time.monotonic() + OPEN_LIMIT)
    if said is None:
        process.kill()
        process.wait()
        raise TargetError(f"the sealed state was not opened within {OPEN_LIMIT:g} s", where=str(directory))
    # It lives on, and is nobody's to wait for.
    process.returncode = 0
    lines = said.splitlines() or [b"it said nothing"]
    try:
        answer = msgspec.json.decode(lines[-1], type=Answer)
    except UNREADABLE as error:
        message = f"the process that opens the sealed state has ended: {lines[-1].decode(errors='replace')[:300]}"
        raise TargetError(message, where=str(directory)) from error
    if answer.message:
        raise SealedDamaged(answer.message, where=answer.where, hint=answer.hint)


def _said(descriptor: int, until: float) -> bytes | None:
    """All that a process says until it closes its output; None when it does not in time."""
    said = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        block = os.read(descriptor, 1 << 16)
        if not block:
            return said
        said += block
