"""An engine's process on this machine: started, watched, and started again when it has ended."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.llms.engines import ENGINES
from plimsoll.llms.engines.order import Order, Told
from plimsoll.llms.exchange import SocketUpstream
from plimsoll.llms.settings import LlmSettings
from plimsoll.runtime.server.predictors.process import (
    END_LIMIT,
    ending_of,
    memory_of_group,
    signal_group,
    start,
)
from plimsoll.runtime.server.predictors.waits import PAUSES
from plimsoll.runtime.server.service_file import ModelFile, OwnCode
from plimsoll.runtime.unaltered import require_unaltered

START_LIMIT = 120.0
"""Seconds that an engine has to load its model."""
WATCH = 0.5
"""Seconds between two looks at it."""
STOP_LIMIT = 2.0
MOST_TOLD = 64 << 10


class EngineProcess:
    """The process; it is up when this is made. `upstream` is where it answers."""

    def __init__(self, file: ModelFile, settings: LlmSettings, threads: int) -> None:
        """Raises TargetError with the reason when it does not come up."""
        self._file = file
        self._settings = settings
        self._threads = threads
        self._what = f"{settings.engine} with {file.reference or file.name}"
        self._closing = threading.Event()
        self._restarted: list[Callable[[], None]] = []
        self.problem = ""
        self.starts = 0
        """How often it was started: each time it has read nothing yet."""
        # Nobody but this user reaches a socket in a directory that is his alone.
        self._directory = Path(tempfile.mkdtemp(prefix="plimsoll-llm-"))
        self._socket = self._directory / "engine.sock"
        self.upstream = SocketUpstream(self._socket)
        try:
            self._process = self._started()
        except BaseException:  # also at Ctrl-C nothing stays
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        self._watching = threading.Thread(target=self._watch, name="engine-watch", daemon=True)
        self._watching.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever it is started again."""
        self._restarted.append(report)

    def close(self) -> None:
        """Have it end; the thread that watches over it sees to that."""
        self._closing.set()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._watching.join(STOP_LIMIT + 2 * END_LIMIT)

    def _started(self) -> subprocess.Popen[bytes]:
        require_unaltered(self._file.files)
        self._socket.unlink(missing_ok=True)
        told, telling = os.pipe()
        try:
            order = self._order(telling)
            argv = [sys.executable, "-m", ENGINES[self._settings.engine].process, msgspec.json.encode(order).decode()]
            try:
                process = start(OwnCode(argv=tuple(argv)), "", argv, (telling,), {})
            finally:
                os.close(telling)
            try:
                self._require_up(process, told)
            except BaseException:  # also at Ctrl-C it does not stay
                _end(process)
                raise
        finally:
            os.close(told)
        self.starts += 1
        return process

    def _order(self, telling: int) -> Order:
        settings = self._settings
        adapters = (settings.adapter,) if settings.adapter else tuple(settings.adapters.values())
        return Order(
            name=self._file.name,
            model=self._file.path,
            socket=str(self._socket),
            context=settings.context,
            slots=settings.slots,
            tokens=settings.tokens,
            threads=self._threads,
            ready=telling,
            parent=os.getpid(),
            adapters=adapters,
        )

    def _require_up(self, process: subprocess.Popen[bytes], told: int) -> None:
        deadline = time.monotonic() + START_LIMIT
        said = b""
        while len(said) < MOST_TOLD:
            if time.monotonic() > deadline:
                raise self._unready(f"it was not ready within {START_LIMIT:g} s")
            if self._closing.is_set():
                raise self._unready("the service has ended")
            if not select.select([told], [], [], 0.1)[0]:
                continue
            piece = os.read(told, 4096)
            if not piece:
                break
            said += piece
        try:
            problem = msgspec.json.decode(said, type=Told).problem
        except UNREADABLE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_LIMIT)
            problem = ending_of(process.returncode)
        if problem:
            raise self._unready(problem)

    def _unready(self, reason: str) -> TargetError:
        hint = "read the service's log; a model may need less `context`, fewer `slots` or more memory"
        return TargetError(f"it does not come up: {reason}", where=self._what, hint=hint, lasting=True)

    def _watch(self) -> None:
        """Start it again when it has ended or uses too much memory."""
        ends = 0
        steady = time.monotonic()
        while not self._closing.wait(WATCH):
            reason = ""
            limit = self._settings.memory
            if self._process.poll() is not None:
                reason = ending_of(self._process.returncode)
            elif limit is not None and memory_of_group(self._process.pid) > limit:
                reason = f"it used more than {limit / (1 << 20):.0f} MiB (resources.memory of the service)"
            if reason:
                ends = 1 if time.monotonic() - steady > sum(PAUSES) else ends + 1
                self._again(reason, PAUSES[min(ends, len(PAUSES)) - 1])
                steady = time.monotonic()
        _end(self._process)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _again(self, reason: str, pause: float) -> None:
        self.problem = f"{self._what} is not up: {reason}"
        sys.stderr.write(f"{self._what}: {reason}; it is started again\n")
        for report in self._restarted:
            report()
        _end(self._process)
        if self._closing.wait(pause):
            return
        try:
            self._process = self._started()
        except PlimsollError as error:
            self.problem = error.on_one_line()
            sys.stderr.write(f"{self.problem}\n")
            return
        self.problem = ""


def _end(process: subprocess.Popen[bytes]) -> None:
    signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT)
    signal_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_LIMIT)
