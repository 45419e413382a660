"""Starts and ends worker processes by how much there is to do, to none at all and back at the first request.

The supervisor owns the listening socket and never reads requests while there are workers: they accept by themselves.
When there are none it looks at what a client has sent without taking it: health and metrics it answers itself, anything
else starts a worker, which gets the connection with the request still unread in it. Workers are forked, so that what
the supervisor has imported (numpy, not ONNX Runtime) need not be imported again: that is what makes the way back from
zero short. It has one thread, as who forks must.
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
"""Seconds between two looks at the load."""
TRIES = 3
"""Workers that may fail to start one after the other before the supervisor gives up."""
KILL_AFTER = 5.0
"""Seconds beyond the drain after which a worker is killed."""


class Supervisor:
    """Keeps between `scale.min` and `scale.max` workers."""

    def __init__(self, options: Options, listener: socket.socket, say_ready: Callable[[int | None], None]) -> None:
        self._options = options
        self._listener = listener
        self._say_ready = say_ready
        self._said = False
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, WorkerProcess] = {}
        self._past = Counts()
        self._scaling = Scaling(options.scale)
        self._asleep = Asleep(listener, self._counts)
        self._changes: dict[tuple[int, int], tuple[set[int], str]] = {}
        """Changes that some workers have not made: by who asked, who is missing, and what went wrong."""
        self._asked: dict[int, int] = {}
        """Our number of a change to the number that the worker which asked gave it."""
        self._numbers = itertools.count(1)
        self._unloaded: set[str] = set()
        self._answered = 0
        """Requests that workers which have ended had answered."""
        self._failures = 0
        self._failed = ""
        self._ending = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises PlimsollError when workers cannot start."""
        if self._options.grpc_port is not None:
            hint = "leave --grpc-port away, or --scale-min and --scale-max at 1"
            raise TargetError("gRPC is answered by one process, not by a changing number of them", hint=hint)
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
        # The first start proves that the models can be loaded, also where there shall be none at rest.
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
                self._hear(key.data)
            else:
                key.data()
        self._reap()
        self._scale()

    # Workers.

    def _start(self, inherited: list[socket.socket] | None = None) -> None:
        """Fork one more. In the child this does not return."""
        worker = start_worker(self._options, self._listener, inherited or [], self._close_in_child, self._unloaded)
        self._workers[worker.pid] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        for connection in inherited or ():
            connection.close()

    def _close_in_child(self) -> None:
        """What the child must not hold: a worker that keeps another's channel open keeps it from ending."""
        signal.set_wakeup_fd(-1)
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                with contextlib.suppress(OSError):
                    os.close(key.fd)
        self._selector.close()

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            if worker.ended():
                self._hear(worker)
                self._selector.unregister(worker.channel)
                worker.channel.close()
                del self._workers[worker.pid]
                self._past = total([self._past, of_ended_process(worker.counts)])
                self._answered += worker.report.answered if worker.report else 0
                for asked in list(self._changes):
                    self._made(asked, worker.pid, "")
                if not worker.ready:
                    self._did_not_start(worker)
            elif worker.overdue():
                worker.signal(signal.SIGKILL)

    def _did_not_start(self, worker: WorkerProcess) -> None:
        self._failures += 1
        reason = worker.reason or "a worker ended before it was ready"
        if not self._said or self._failures >= TRIES:
            self._failed, self._ending = reason, True
        else:
            sys.stderr.write(f"{reason}\n")

    def _hear(self, worker: WorkerProcess) -> None:
        for message in worker.messages():
            match message:
                case Ready():
                    worker.ready = True
                    self._failures = 0
                    if not self._said:
                        self._said = True
                        self._say_ready(message.grpc_port)
                case Failed():
                    worker.reason = message.reason
                case Report():
                    worker.report = message
                    worker.counts = message.counts
                case AskCounts():
                    worker.say(OtherCounts(id=message.id, counts=self._counts(but=worker.pid)))
                case Change():
                    self._change(worker, message)
                case Changed():
                    asked = next((key for key in self._changes if key[1] == message.id), None)
                    if asked:
                        self._made(asked, worker.pid, message.problem)

    def _counts(self, but: int = 0) -> Counts:
        return total([self._past, *(w.counts for pid, w in self._workers.items() if pid != but)])

    def _change(self, worker: WorkerProcess, change: Change) -> None:
        (self._unloaded.add if change.verb == "unload" else self._unloaded.discard)(change.model)
        number = next(self._numbers)
        others = {pid for pid, other in self._workers.items() if pid != worker.pid and other.ready}
        self._changes[worker.pid, number] = (others, "")
        self._asked[number] = change.id
        for pid in others:
            self._workers[pid].say(Change(id=number, verb=change.verb, model=change.model))
        self._made((worker.pid, number), worker.pid, "")

    def _made(self, asked: tuple[int, int], pid: int, problem: str) -> None:
        missing, before = self._changes[asked]
        missing.discard(pid)
        if missing:
            self._changes[asked] = (missing, before or problem)
            return
        del self._changes[asked]
        worker = self._workers.get(asked[0])
        if worker:
            worker.say(Changed(id=self._asked.pop(asked[1]), problem=before or problem))

    # Scale.

    def _scale(self) -> None:
        if self._ending:
            return
        staying = [worker for worker in self._workers.values() if not worker.told_to_end]
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
        """Clients that keep their connections must come anew, or new workers would have nothing to do."""
        total = sum(worker.report.connections for worker in staying if worker.report)
        for worker in staying:
            if worker.report:
                worker.say(Shed(connections=max(0, worker.report.connections - total // wanted)))

    def _watch_asleep(self) -> None:
        if self._options.scale.min > 0:
            self._start()
            return
        waking = self._asleep.look(self._selector)
        if waking:
            self._scaling.woken(time.monotonic())
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
                    self._hear(key.data)
            self._reap()
        for worker in self._workers.values():
            worker.signal(signal.SIGKILL)


def _import_ahead() -> None:
    """What every worker needs and no worker should wait for. Raises MissingExtra."""
    # One thread: OpenBLAS would start its own at import, which a fork loses.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import uvloop  # noqa: F401

        import plimsoll.runtime.server.worker  # noqa: F401
    except ImportError:
        raise MissingExtra("serve", "the inference server") from None
