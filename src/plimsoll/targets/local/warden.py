"""The client of the warden process: starts processes, waits for them, stops them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.start_problem import start_problem
from plimsoll.signing.private_keys import PASSWORD
from plimsoll.vault.use import descriptors, key_variables

if TYPE_CHECKING:
    import socket
    import subprocess

ANSWER_LIMIT = 30.0
"""Seconds that the warden has to start a process."""

_LOST = "was lost: the process that supervises the workers (the warden) was killed"

_Message = dict[str, Any]
"""A JSON object of the protocol in `warden_process`; each request and answer has its own keys."""


class ProcessEnd(Struct, frozen=True, kw_only=True):
    """How a process ended. `peak_memory` is in bytes; `lost` means that the warden was killed before the end."""

    code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    lost: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it ended with exit status 0."""
        return self.code == 0

    def description(self) -> str:
        """The end as the predicate of a sentence, for example `ended with exit status 1`."""
        if self.lost:
            return _LOST
        if self.signal is not None:
            return f"was killed by {signal.Signals(self.signal).name}"
        return f"ended with exit status {self.code}"


class Process:
    """A process that the warden started. All processes of its session end with it.

    `pid` is its number on this machine; the warden of a sandbox has a `number` of its own for it.
    """

    def __init__(self, warden: Warden, pid: int, number: int) -> None:
        self.pid = pid
        self._number = number
        self._warden = warden

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its group."""
        self._warden.signal(self._number, number)


class _PendingSpawn:
    """A spawn request without an answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: _Message = {"refused": 0, "reason": _LOST}
        self.on_end: Callable[[ProcessEnd], None] = lambda _: None


class Warden:
    """The warden's client. It starts the warden process when first needed, and again after a kill. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ids = itertools.count(1)
        self._spawning: dict[int, _PendingSpawn] = {}
        self._running: dict[int, Callable[[ProcessEnd], None]] = {}

    def start(self) -> None:
        """Start the warden process now, so that the first step does not wait for it."""
        with self._lock:
            if self._connection is None:
                self._connection = self._start()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path | int,
        mark: str,
        on_end: Callable[[ProcessEnd], None],
        cgroups: Sequence[Path] = (),
        kept: Sequence[int] = (),
    ) -> Process:
        """Start a process that writes to `log`; `on_end` is called on another thread when it has ended.

        It gets the descriptors in `kept` as 3, 4 and so on. Raises TargetError when the command cannot be started.
        """
        waiting = _PendingSpawn()
        waiting.on_end = on_end
        request = {
            "do": "spawn",
            "argv": list(argv),
            "environment": dict(environment),
            "directory": str(directory),
            "mark": mark,
            "kept": len(kept),
            "cgroups": len(cgroups),
        }
        with contextlib.ExitStack() as opened:
            descriptors = _opened(argv[0], log, cgroups, opened)
            descriptors[1:1] = kept
            with self._lock:
                number = next(self._ids)
                self._spawning[number] = waiting
                self._send({**request, "id": number}, descriptors)
        if not waiting.done.wait(ANSWER_LIMIT):
            raise TargetError(f"{argv[0]} was not started within {ANSWER_LIMIT:g} s", where=mark)
        if "pid" not in waiting.answer:
            raise _spawn_error(argv[0], waiting.answer, directory, environment)
        pid = waiting.answer["pid"]
        return Process(self, self.pid_here(pid), pid)

    def pid_here(self, number: int) -> int:
        """The number on this machine of a process that the warden calls by `number`."""
        return number

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to the group of a process that is still running."""
        with self._lock:
            if self._connection and pid in self._running:
                self._send({"do": "signal", "pid": pid, "signal": int(number)})

    def close(self) -> None:
        """Kill all running processes and stop the warden."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection:
            import socket

            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._process:
            self._process.wait(timeout=ANSWER_LIMIT)

    def _send(self, request: _Message, descriptors: Sequence[int] = ()) -> None:
        message = json.dumps(request).encode() + b"\n"
        if self._connection is None:
            self._connection = self._start()
        try:
            _send_all(self._connection, message, descriptors)
        except OSError:
            # The reader thread reports the processes as lost; this request goes to a new warden.
            self._connection = self._start()
            _send_all(self._connection, message, descriptors)

    def _start(self) -> socket.socket:
        # Whoever only plans pays for neither.
        import socket
        import subprocess

        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("warden_process.py")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(script), str(theirs.fileno())],
                # Where what is kept is encrypted, it stays open for as long as something is written there.
                pass_fds=[theirs.fileno(), *descriptors()],
                stdin=subprocess.DEVNULL,
                # A step can read what its warden was given.
                env={name: value for name, value in os.environ.items() if name not in {PASSWORD, *key_variables()}},
                start_new_session=True,
            )
        self._follow(ours, self._process.wait)
        return ours

    def _follow(self, connection: socket.socket, over: Callable[[], object]) -> None:
        """Handle answers on a thread; `over` returns when the warden has ended."""
        threading.Thread(target=self._read, args=(connection, over), daemon=True, name="warden").start()

    def _read(self, connection: socket.socket, over: Callable[[], object]) -> None:
        """Handle answers until the warden ends, then report its processes as lost."""
        mine: set[int] = set()
        with contextlib.suppress(OSError), connection.makefile("rb") as lines:
            for line in lines:
                self._handle_answer(json.loads(line), mine)
        over()
        connection.close()
        with self._lock:
            if self._connection is connection:
                self._connection = None
            lost = [self._running.pop(pid) for pid in mine if pid in self._running]
            unanswered = list(self._spawning.values()) if self._connection is None else []
            if self._connection is None:
                self._spawning.clear()
        for waiting in unanswered:
            waiting.done.set()
        for on_end in lost:
            on_end(ProcessEnd(lost=True))

    def _handle_answer(self, answer: _Message, mine: set[int]) -> None:
        if "ended" in answer:
            pid = answer.pop("ended")
            mine.discard(pid)
            with self._lock:
                on_end = self._running.pop(pid, None)
            if on_end:
                on_end(ProcessEnd(**answer))
            return
        with self._lock:
            waiting = self._spawning.pop(answer.get("spawned") or answer["refused"])
            waiting.answer = answer
            if "pid" in answer:
                mine.add(answer["pid"])
                self._running[answer["pid"]] = waiting.on_end
        waiting.done.set()


def _opened(program: str, log: Path | int, cgroups: Sequence[Path], until: contextlib.ExitStack) -> list[int]:
    """Descriptors of the log and of control groups. Raises TargetError for one that cannot be opened."""
    found = []
    for path, flags in (
        *(((log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),) if isinstance(log, Path) else ()),
        *((group / "cgroup.procs", os.O_WRONLY) for group in cgroups),
    ):
        try:
            found.append(os.open(path, flags, 0o644))
        except OSError as error:
            hint = f"the command '{program}' could not be started"
            raise TargetError(f"{path}: {error.strerror}", hint=hint) from error
        until.callback(os.close, found[-1])
    return found if isinstance(log, Path) else [log, *found]


def _send_all(connection: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send a message with descriptors, which come with its first bytes."""
    import socket

    sent = socket.send_fds(connection, [message], descriptors) if descriptors else 0
    connection.sendall(message[sent:])


def _spawn_error(program: str, answer: _Message, directory: Path, environment: Mapping[str, str]) -> TargetError:
    path = answer.get("path") or program
    reason = str(answer["reason"])
    if reason == _LOST:
        return TargetError(f"{program} {reason}", hint="the next attempt starts a new one")
    if path == program and answer.get("number"):
        return start_problem(program, answer["number"], directory, environment.get("PATH", os.defpath))
    return TargetError(f"{path}: {reason}", hint=f"the command '{program}' could not be started")
