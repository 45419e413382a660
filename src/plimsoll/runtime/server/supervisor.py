"""Starts and ends worker processes as the load needs, down to none, and up again at the first request.

The supervisor owns the listening socket and reads no requests while there are workers: workers accept connections
themselves. Without workers it peeks at the first bytes of each client. It answers health and metrics itself; any other
request starts a worker, which gets the connection with the request still unread. Workers are forked, so that they need
not import again what the supervisor has imported (numpy, not ONNX Runtime): this makes the start from zero short. The
supervisor has one thread, as a process that forks must.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.runtime.server.asleep import Asleep
from plimsoll.runtime.server.control import (
    AskCounts,
    Change,
    Changed,
    Failed,
    OtherCounts,
    Ready,
    Report,
    Shed,
)
from plimsoll.runtime.server.counts import Counts, of_ended_process, total
from plimsoll.runtime.server.options import Options
from plimsoll.runtime.server.scaling import Scaling
from plimsoll.runtime.server.worker_process import WorkerProcess, start_worker

TICK = 0.1
"""Seconds between two checks of the load."""
TRIES = 3
"""Failed starts of workers in a row after which the supervisor ends with an error."""
KILL_AFTER = 5.0
"""Seconds beyond the drain after which a worker is killed."""


class Supervisor:
    """Keeps between `scale.min` and `scale.max` workers."""

    def __init__(self, options: Options, listener: socket.socket, say_ready: Callable[[int | None], None]) -> None:
        self._options = options
        self._listener = listener
        self._say_ready = say_ready
        self._announced = False
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, WorkerProcess] = {}
        self._past = Counts()
        self._scaling = Scaling(options.scale)
        guarded = options.auth is not None or bool(options.only_hosts)
        self._asleep = Asleep(listener, self._counts, guarded=guarded)
        self._changes: dict[tuple[int, int], tuple[set[int], str]] = {}
        """Incomplete changes: by asking worker and our number, the workers that have not made it, and a problem."""
        self._asked: dict[int, int] = {}
        """Our number of a change to the asking worker's own number."""
        self._numbers = itertools.count(1)
        self._unloaded: set[str] = set()
        self._answered = 0
        """Inferences of workers that have ended."""
        self._failures = 0
        self._failed = ""
        self._ending = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises PlimsollError when workers cannot start."""
        if self._options.grpc_port is not None:
            hint = "leave out --grpc-port, or leave --scale-min and --scale-max at 1"
            raise TargetError(
                "gRPC needs a server of one process, and this one has a changing number of them", hint=hint
            )
        _import_ahead()
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, self._hang_up)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(wake, selectors.EVENT_READ, wake)
        self._listener.listen(2048)
        self._listener.setblocking(False)
        # The first start proves that the models can be loaded, also with a minimum of no workers.
        for _ in range(max(1, self._options.scale.min)):
            self._start()
        try:
            while not self._ending:
                self._turn(wake)
        finally:
            self._end_all()
        if self._failed:
            raise TargetError(self._failed)

    def _end(self, *_: object) -> None:
        self._ending = True

    def _hang_up(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.signal(signal.SIGHUP)

    def _turn(self, wake: socket.socket) -> None:
        for key, _ in self._selector.select(TICK):
            if key.fileobj is wake:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
            elif isinstance(key.data, WorkerProcess):
                self._receive(key.data)
            else:
                key.data()
        self._reap()
        self._scale()

    # Workers.

    def _start(self, inherited: list[socket.socket] | None = None) -> None:
        """Fork one more worker. In the child this does not return."""
        worker = start_worker(self._options, self._listener, inherited or [], self._close_in_child, self._unloaded)
        self._workers[worker.pid] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        for connection in inherited or ():
            connection.close()

    def _close_in_child(self) -> None:
        """Close what the child must not hold: a worker with another's channel open prevents that one's end."""
        signal.set_wakeup_fd(-1)
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                with contextlib.suppress(OSError):
                    os.close(key.fd)
        self._selector.close()

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            if worker.ended():
                self._receive(worker)
                self._selector.unregister(worker.channel)
                worker.channel.close()
                del self._workers[worker.pid]
                self._past = total([self._past, of_ended_process(worker.counts)])
                self._answered += worker.report.answered if worker.report else 0
                for asked in list(self._changes):
                    self._change_made(asked, worker.pid, "")
                if not worker.ready:
                    self._on_failed_start(worker)
            elif worker.overdue():
                worker.signal(signal.SIGKILL)

    def _on_failed_start(self, worker: WorkerProcess) -> None:
        self._failures += 1
        reason = worker.reason or "a worker ended before it was ready"
        if not self._announced or self._failures >= TRIES:
            self._failed, self._ending = reason, True
        else:
            sys.stderr.write(f"{reason}\n")

    def _receive(self, worker: WorkerProcess) -> None:
        for message in worker.messages():
            match message:
                case Ready():
                    worker.ready = True
                    self._failures = 0
                    if not self._announced:
                        self._announced = True
                        self._say_ready(message.grpc_port)
                case Failed():
                    worker.reason = message.reason
                case Report():
                    worker.report = message
                    worker.counts = message.counts
                case AskCounts():
                    worker.send(OtherCounts(id=message.id, counts=self._counts(but=worker.pid)))
                case Change():
                    self._change(worker, message)
                case Changed():
                    asked = next((key for key in self._changes if key[1] == message.id), None)
                    if asked:
                        self._change_made(asked, worker.pid, message.problem)

    def _counts(self, but: int = 0) -> Counts:
        return total([self._past, *(w.counts for pid, w in self._workers.items() if pid != but)])

    def _change(self, worker: WorkerProcess, change: Change) -> None:
        (self._unloaded.add if change.verb == "unload" else self._unloaded.discard)(change.model)
        number = next(self._numbers)
        others = {pid for pid, other in self._workers.items() if pid != worker.pid and other.ready}
        self._changes[worker.pid, number] = (others, "")
        self._asked[number] = change.id
        for pid in others:
            self._workers[pid].send(Change(id=number, verb=change.verb, model=change.model))
        self._change_made((worker.pid, number), worker.pid, "")

    def _change_made(self, asked: tuple[int, int], pid: int, problem: str) -> None:
        missing, before = self._changes[asked]
        missing.discard(pid)
        if missing:
            self._changes[asked] = (missing, before or problem)
            return
        del self._changes[asked]
        worker = self._workers.get(asked[0])
        if worker:
            worker.send(Changed(id=self._asked.pop(asked[1]), problem=before or problem))

    # Scale.

    def _scale(self) -> None:
        if self._ending:
            return
        staying = [worker for worker in self._workers.values() if not worker.ending]
        if not staying:
            self._watch_asleep()
            return
        if any(not worker.ready for worker in staying):
            return
        concurrency = sum(worker.report.concurrency for worker in staying if worker.report)
        answered = self._answered + sum(w.report.answered for w in self._workers.values() if w.report)
        wanted = self._scaling.wanted(len(staying), concurrency, answered, time.monotonic())
        for _ in range(wanted - len(staying)):
            self._start()
        if wanted > len(staying):
            self._spread(staying, wanted)
        for worker in sorted(staying, key=lambda w: w.report.connections if w.report else 0)[: len(staying) - wanted]:
            worker.end(self._options.drain + KILL_AFTER)

    def _spread(self, staying: list[WorkerProcess], wanted: int) -> None:
        """Close some kept connections, so that their clients connect again and reach the new workers."""
        total = sum(worker.report.connections for worker in staying if worker.report)
        for worker in staying:
            if worker.report:
                worker.send(Shed(connections=max(0, worker.report.connections - total // wanted)))

    def _watch_asleep(self) -> None:
        if self._options.scale.min > 0:
            self._start()
            return
        waking = self._asleep.connections_to_serve(self._selector)
        if waking:
            self._scaling.on_wake(time.monotonic())
            self._start(waking)

    def _end_all(self) -> None:
        self._asleep.close(self._selector)
        for worker in self._workers.values():
            worker.end(self._options.drain)
        self._listener.close()
        deadline = time.monotonic() + self._options.drain + KILL_AFTER
        while self._workers and time.monotonic() < deadline:
            for key, _ in self._selector.select(TICK):
                if isinstance(key.data, WorkerProcess):
                    self._receive(key.data)
            self._reap()
        for worker in self._workers.values():
            worker.signal(signal.SIGKILL)


def _import_ahead() -> None:
    """Import what every worker needs, so that no worker waits for it. Raises MissingExtra."""
    # One thread: OpenBLAS would start threads at import, which a fork does not copy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import uvloop  # noqa: F401

        import plimsoll.runtime.server.worker  # noqa: F401
    except ImportError:
        raise MissingExtra("serve", "the inference server") from None
