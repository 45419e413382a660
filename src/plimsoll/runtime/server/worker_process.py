"""The supervisor's side of a worker: a forked process, a channel, and its last report."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.control import Failed, FromSupervisor, FromWorker, Ready, Report, from_worker, line
from plimsoll.runtime.server.counts import Counts
from plimsoll.runtime.server.options import Options


class WorkerProcess:
    """One worker."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.ready = False
        self.reason = ""
        self.report: Report | None = None
        self.counts = Counts()
        self.ending = False
        self._deadline = float("inf")
        self._unread = b""

    def send(self, message: FromSupervisor) -> None:
        """Send a message. A worker that cannot receive it is ending, and needs none."""
        with contextlib.suppress(OSError):
            self.channel.setblocking(True)
            self.channel.settimeout(1.0)
            self.channel.sendall(line(message))
        self.channel.setblocking(False)

    def messages(self) -> Iterator[FromWorker]:
        """The messages since the last call."""
        try:
            while received := self.channel.recv(1 << 20):
                self._unread += received
        except OSError:
            pass
        *lines, self._unread = self._unread.split(b"\n")
        for each in lines:
            yield from_worker.decode(each)

    def ended(self) -> bool:
        """Whether it has ended; must not be called again after that."""
        return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid

    def end(self, seconds: float) -> None:
        """Ask it to drain and end; it is overdue after `seconds`."""
        self.ending = True
        self._deadline = time.monotonic() + seconds
        self.signal(signal.SIGTERM)

    def overdue(self) -> bool:
        """Whether it should have ended by now."""
        return time.monotonic() > self._deadline

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def start_worker(
    options: Options,
    listener: socket.socket,
    inherited: Sequence[socket.socket],
    close_in_child: Callable[[], None],
    unloaded: set[str],
) -> WorkerProcess:
    """Fork a worker. In the child this does not return."""
    ours, its = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _work(options, listener, inherited, close_in_child, unloaded, ours, its)
    its.close()
    ours.setblocking(False)
    return WorkerProcess(pid, ours)


def _work(
    options: Options,
    listener: socket.socket,
    inherited: Sequence[socket.socket],
    close_in_child: Callable[[], None],
    unloaded: set[str],
    ours: socket.socket,
    its: socket.socket,
) -> NoReturn:
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        ours.close()
        close_in_child()
        from plimsoll.runtime.server.worker import Worker

        worker = Worker(options, unloaded)
        worker.run(
            listener,
            ready=lambda grpc_port: its.sendall(line(Ready(grpc_port=grpc_port))),
            channel=its,
            inherited=inherited,
        )
        code = 0
    except PlimsollError as error:
        with contextlib.suppress(OSError):
            its.sendall(line(Failed(reason=error.on_one_line())))
    except BaseException:  # noqa: BLE001 - the frames above belong to the supervisor, not to its child
        sys.stderr.write(f"this is a defect of plimsoll, please report it:\n{traceback.format_exc()}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # The supervisor's clean-up at exit must not run in the child.
        os._exit(code)
