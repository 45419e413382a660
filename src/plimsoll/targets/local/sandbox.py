"""A warden inside a sandbox: what it starts sees what the sandbox has, and nobody sees it.

bubblewrap makes the sandbox, and the warden of the run starts bubblewrap, so that the sandbox ends with the run however
that ends. Its own warden is the first process in it. All workers of a gang are in one sandbox: they find each other on
its loopback, share its memory, and are signalled, measured and ended as outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import TargetError
from plimsoll.targets.local.limits import WorkerLimits
from plimsoll.targets.local.warden import ANSWER_LIMIT, Process, ProcessEnd, Warden

if TYPE_CHECKING:
    import socket

START_LIMIT = 30.0
"""Seconds in which a sandbox has to be there: it takes tens of milliseconds."""
SCRIPT = Path(__file__).with_name("warden_process.py")
_SOCKET, _ABOUT, _FILTER = "3", "4", "5"
"""The numbers under which bubblewrap gets its descriptors."""
_OVER = "the sandbox of the step has ended"
_LONGEST_WORD = 1 << 16


class Sandbox(Warden):
    """One sandbox, made when something is first started in it."""

    def __init__(
        self, outer: Warden, argv: Sequence[str], *, mark: str, filter_of_calls: bytes = b"", limits: WorkerLimits
    ) -> None:
        """`argv` is bubblewrap with its arguments. `limits` are of all processes in the sandbox together."""
        super().__init__()
        self.limits = limits
        self._outer = outer
        self._argv = argv
        self._mark = mark
        self._filter = filter_of_calls
        self._over = threading.Event()
        self._bubblewrap: Process | None = None
        self._first = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended: nothing can be started in it any more."""
        return self._over.is_set()

    def _start(self) -> socket.socket:
        import socket

        if self._bubblewrap is not None:
            raise TargetError(_OVER, where=self._mark, hint="the next attempt makes a new one")
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as until:
            until.enter_context(theirs)
            said = until.enter_context(_in_memory("sandbox"))
            about_read, about = os.pipe()
            until.callback(os.close, about_read)
            kept, more = [theirs.fileno(), about], ["--info-fd", _ABOUT]
            if self._filter:
                kept.append(until.enter_context(_in_memory("filter", self._filter)).fileno())
                more += ["--seccomp", _FILTER]
            python = os.path.realpath(sys.executable)
            argv = [
                *self._argv,
                "--die-with-parent",
                "--as-pid-1",
                *more,
                "--",
                python,
                "-S",
                "-E",
                str(SCRIPT),
                _SOCKET,
                "inside",
            ]
            try:
                self._bubblewrap = self._outer.spawn(
                    argv,
                    environment={"PATH": os.defpath},
                    directory=Path("/"),
                    log=said.fileno(),
                    mark=self._mark,
                    on_end=self._ended,
                    kept=kept,
                )
            finally:
                os.close(about)
            theirs.close()
            self._await(ours, said.fileno())
            self._first = _first_process(about_read)
        self._bound()
        self._follow(ours, self._over.wait)
        return ours

    def _ended(self, end: ProcessEnd) -> None:
        self._over.set()

    def _await(self, connection: socket.socket, said: int) -> None:
        """Wait until its warden says that it is there. Raises TargetError with bubblewrap's words when it is not."""
        connection.settimeout(START_LIMIT)
        word = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while not word.endswith(b"\n") and len(word) < _LONGEST_WORD and (byte := connection.recv(1)):
                word += byte
        connection.settimeout(None)
        if word.endswith(b"\n"):
            return
        if self._bubblewrap is not None:
            self._bubblewrap.send(signal.SIGKILL)
        self._over.wait(ANSWER_LIMIT)
        connection.close()
        lines = os.pread(said, 4096, 0).decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"it was not there within {START_LIMIT:g} s"
        hint = "correct what it names, or set isolation: none"
        raise TargetError(f"the sandbox could not be made: {why}", hint=hint)

    def _bound(self) -> None:
        """Put the first process under the limits: what comes later is started by it."""
        most = self.limits.processes
        if most is not None and "processes" not in self.limits.enforced:
            # Counted for the user in this namespace alone, by kernels from 5.14 on; not for root.
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(self._first, resource.RLIMIT_NPROC, (most, most))
        for group in self.limits.groups:
            with contextlib.suppress(OSError):
                # Where that is not allowed, it counts as not limited, as for workers.
                (group / "cgroup.procs").write_text(str(self._first), encoding="ascii")

    def pid_here(self, number: int) -> int:
        """The number on this machine of a process in the sandbox; that of bubblewrap for one that has ended."""
        for pid in _children(self._first):
            with contextlib.suppress(OSError, ValueError):
                lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
                inner = next(line for line in lines if line.startswith("NSpid:")).split()[-1]
                if int(inner) == number:
                    return pid
        return self._bubblewrap.pid if self._bubblewrap is not None else number

    def close(self) -> None:
        """Kill all that runs in the sandbox; it is gone when this returns."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            import socket

            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._bubblewrap is not None and not self._over.wait(ANSWER_LIMIT):
            self._bubblewrap.send(signal.SIGKILL)
            self._over.wait(ANSWER_LIMIT)
        self.limits.remove()


def _in_memory(name: str, content: bytes = b"") -> FileIO:
    file = FileIO(os.memfd_create(name), "r+")
    file.write(content)
    file.seek(0)
    return file


def _first_process(about: int) -> int:
    """The number of the sandbox's first process, which bubblewrap has told by now."""
    told = b""
    while b"}" not in told and (more := os.read(about, 4096)):
        told += more
    return int(json.loads(told)["child-pid"])


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
