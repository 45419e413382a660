"""The processes that run one user's function: calls of many callers computed together, failures kept apart.

Everything here happens in the event loop's thread, but the start. What has ended is started again, later and later as
long as it ends again. Calls whose computation failed together are computed alone, so that none fails for another's
input; a call whose process ended is tried once more, as it may have ended for another reason.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable

import numpy as np

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.predictors.answers import WrongAnswer, split
from plimsoll.runtime.server.predictors.calls import PART, Call, Calls, Job, Tensors, grouped
from plimsoll.runtime.server.predictors.function_process import Header
from plimsoll.runtime.server.predictors.process import FunctionProcess, NoMessage
from plimsoll.runtime.server.predictors.waits import PAUSES, START_LIMIT
from plimsoll.runtime.server.refusals import DeadlinePassed, Failed, NotReady
from plimsoll.runtime.server.service_file import OwnCode
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import BadTensor

GIVEN_UP = 3
"""Ends in a row after which calls no longer wait for the next start."""
TRIES = 2
"""Computations of a call that may end the process."""
WATCH = 0.2
"""Seconds between two looks at the memory of processes and at the time of their start."""


class FunctionPool:
    """Processes with the same function, and the calls that wait for them."""

    def __init__(self, name: str, code: OwnCode, model: str, processes: int) -> None:
        self._name = name
        self._code = code
        self._model = model
        self._count = max(1, processes)
        self._processes: list[FunctionProcess] = []
        self._jobs: dict[FunctionProcess, Job] = {}
        self._waiting = Calls()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._starting = 0
        """Starts that are due later."""
        self._ends = 0
        """Ends in a row, without an answer between them."""
        self._reason = ""
        """How the last process ended."""
        self._closed = False
        self.on_restart: Callable[[], None] = _nobody
        self.outputs: tuple[TensorSpec, ...] = ()
        """What answers must be; set once it is known."""
        self.rows_independent = False
        """Whether calls may be computed together; set once it is known."""
        self.usual = 0.0
        """Seconds of a usual computation."""

    # The start, in any thread, before the first call.

    def start(self, limit: float = START_LIMIT) -> None:
        """Start all processes and wait for the first. Raises TargetError with the reason when none comes up."""
        try:
            self._processes = [FunctionProcess(self._code, self._model) for _ in range(self._count)]
            self._await_first(time.monotonic() + limit, limit)
        except BaseException:  # also at Ctrl-C no process stays
            self.close()
            raise

    def _await_first(self, deadline: float, limit: float) -> None:
        with selectors.DefaultSelector() as selector:
            for process in self._processes:
                process.channel.setblocking(False)
                selector.register(process.channel, selectors.EVENT_READ, process)
            while not any(process.state == "idle" for process in self._processes):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise self._unready(f"it was not loaded within {limit:g} s")
                for key, _ in ready:
                    self._greeted_at_start(key.data)

    def _greeted_at_start(self, process: FunctionProcess) -> None:
        going_on = process.receive()
        for header, _ in process.messages():
            if "failed" in header:
                raise self._unready(header["failed"])
            process.state = "idle"
        if not going_on:
            raise self._unready(process.how_it_ended())

    def _unready(self, reason: str) -> TargetError:
        hint = "correct the script; its output is in the log of the service"
        return TargetError(f"it does not come up: {reason}", where=self._name, hint=hint, lasting=True)

    def try_once(self, inputs: Tensors, limit: float) -> Tensors:
        """The outputs for inputs, before there is an event loop. Raises BadTensor, WrongAnswer, TargetError."""
        process = next(process for process in self._processes if process.state == "idle")
        began = time.monotonic()
        process.channel.setblocking(True)
        process.channel.settimeout(limit)
        try:
            while not process.send(inputs):
                pass
            answer = process.next_message(limit)
        except TimeoutError:
            raise self._unready(f"{self._name} did not answer its first call within {limit:g} s") from None
        if answer is None:
            raise self._unready(process.how_it_ended())
        process.channel.setblocking(False)
        header, outputs = answer
        if "error" in header:
            raise _failure(header, self._name)
        self.usual = time.monotonic() - began
        return outputs

    # Calls.

    @property
    def problem(self) -> str:
        """Why no process can answer at present; empty when one can."""
        if any(process.state in {"idle", "busy"} for process in self._processes):
            return ""
        return f"{self._name} is not up: {self._reason or 'it is being started'}"

    async def infer(self, inputs: Tensors, limit: float) -> tuple[Tensors, int]:
        """Outputs, and how many calls were computed together. Raises BadTensor, Failed, NotReady, DeadlinePassed."""
        loop = asyncio.get_running_loop()
        self.attach(loop)
        if self._ends >= GIVEN_UP and (problem := self.problem):
            raise NotReady(problem)
        deadline = loop.time() + limit
        rows, key = grouped(inputs) if self.rows_independent else (1, None)
        call = Call(inputs, rows, key, deadline, loop.create_future())
        self._waiting.add(call)
        self._assign()
        # The pool itself ends what is computed for too long; this is for a call that waits in vain.
        async with asyncio.timeout_at(deadline + WATCH):
            return await call.future

    def _assign(self) -> None:
        for process in self._processes:
            if not self._waiting:
                return
            if process.state == "idle" and (calls := self._waiting.take(self.usual, _now(self._loop))):
                self._compute(process, calls)

    def _compute(self, process: FunctionProcess, calls: list[Call]) -> None:
        assert self._loop is not None  # noqa: S101 - a call has come
        now = self._loop.time()
        left = min(call.deadline for call in calls) - now
        # One that takes for ever must not take the time of those that are computed with it or wait for the process.
        quick = len(calls) > 1 or (calls[0].alone and self.usual * PART <= left)
        limit = max(0.0, left / PART if quick else left)
        job = Job(calls, now, limit)
        job.timer = self._loop.call_at(now + limit, self._overdue, process, job)
        self._jobs[process] = job
        process.state = "busy"
        inputs = calls[0].inputs
        if len(calls) > 1:
            inputs = {name: np.concatenate([call.inputs[name] for call in calls]) for name in inputs}
        if not process.send(inputs):
            self._loop.add_writer(process.channel, self._send_rest, process)

    def _send_rest(self, process: FunctionProcess) -> None:
        if process.send_rest() and self._loop is not None:
            self._loop.remove_writer(process.channel)

    def _readable(self, process: FunctionProcess) -> None:
        going_on = process.receive()
        try:
            for header, tensors in process.messages():
                if "ready" in header:
                    process.state = "idle"
                elif "failed" in header:
                    process.kill(header["failed"])
                else:
                    self._answered(process, header, tensors)
        except NoMessage as error:
            process.kill(str(error))
        if not going_on:
            self._ended(process)
        self._assign()

    def _answered(self, process: FunctionProcess, header: Header, outputs: Tensors) -> None:
        job = self._jobs.pop(process)
        process.state = "idle"
        self._ends = 0
        if job.timer is not None:
            job.timer.cancel()
        self.usual += 0.2 * (_now(self._loop) - job.began - self.usual)
        if "error" in header:
            self._failed(job, _failure(header, self._name))
            return
        try:
            answers = split(outputs, self.outputs, [call.rows for call in job.calls])
        except WrongAnswer as wrong:
            self._failed(job, wrong)
            return
        for call, answer in zip(job.calls, answers, strict=True):
            if isinstance(answer, WrongAnswer):
                self._refuse(call, answer)
            elif not call.future.done():
                call.future.set_result((answer, len(job.calls)))

    def _failed(self, job: Job, reason: Exception) -> None:
        """Refuse a call that has failed alone; have those that failed together computed one by one."""
        if len(job.calls) == 1:
            self._refuse(job.calls[0], reason)
        else:
            self._waiting.again(job.calls)

    def _refuse(self, call: Call, reason: Exception) -> None:
        if isinstance(reason, WrongAnswer):
            reason = Failed(f"the answer of {self._name} is wrong: {reason}")
        if not call.future.done():
            call.future.set_exception(reason)

    # Ends.

    def _overdue(self, process: FunctionProcess, job: Job) -> None:
        if self._jobs.get(process) is job:
            process.kill(f"it had not answered after {job.limit:.3g} s and was ended")

    def _ended(self, process: FunctionProcess) -> None:
        assert self._loop is not None  # noqa: S101 - it was attached
        self._loop.remove_reader(process.channel)
        self._loop.remove_writer(process.channel)
        late, began = process.killed_for, process.state
        self._reason = process.how_it_ended()
        self._processes.remove(process)
        job = self._jobs.pop(process, None)
        if job is not None:
            if job.timer is not None:
                job.timer.cancel()
            self._lost(job, late)
        if self._closed:
            return
        sys.stderr.write(f"{self._name}: {self._reason}; it is started again\n")
        self.on_restart()
        pause = PAUSES[min(self._ends, len(PAUSES) - 1)]
        self._ends += 1
        self._starting += 1
        self._loop.call_later(max(pause, 0.1 if began == "starting" else 0.0), self._start_again)
        if self._ends >= GIVEN_UP and (problem := self.problem):
            for call in self._waiting.all():
                self._refuse(call, NotReady(problem))

    def _lost(self, job: Job, killed_for: str) -> None:
        """A process has ended in the middle of calls: each has another try, alone, but for one that hung."""
        reason = f"{self._name} failed: {self._reason}"
        hung = "had not answered" in killed_for
        for call in job.calls:
            call.tries += 1
        if len(job.calls) == 1 and (hung or job.calls[0].tries >= TRIES):
            call = job.calls[0]
            self._refuse(call, DeadlinePassed(reason) if hung else Failed(reason))
        else:
            self._waiting.again(job.calls)

    def _start_again(self) -> None:
        self._starting -= 1
        if self._closed or self._loop is None:
            return
        try:
            process = FunctionProcess(self._code, self._model)
        except PlimsollError as error:
            self._reason = error.on_one_line()
            self._ends = max(self._ends + 1, GIVEN_UP)
            self._starting += 1
            self._loop.call_later(PAUSES[-1], self._start_again)
            return
        self._processes.append(process)
        self._listen(process, self._loop)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch over the processes; may be called again."""
        if self._loop is not None:
            return
        self._loop = loop
        for process in self._processes:
            self._listen(process, loop)
        self._watching = loop.call_later(WATCH, self._watch)

    def _listen(self, process: FunctionProcess, loop: asyncio.AbstractEventLoop) -> None:
        process.channel.setblocking(False)
        process.since = loop.time()
        loop.add_reader(process.channel, self._readable, process)

    def _watch(self) -> None:
        """End what uses too much memory, and what does not come up."""
        assert self._loop is not None  # noqa: S101 - it was attached
        if self._closed:
            return
        self._watching = self._loop.call_later(WATCH, self._watch)
        now = self._loop.time()
        for process in self._processes:
            if process.state == "starting" and now - process.since > START_LIMIT:
                process.kill(f"it was not loaded within {START_LIMIT:g} s")
        if self._code.memory is None:
            return
        used = {process: process.memory() for process in self._processes}
        if sum(used.values()) > self._code.memory:
            largest = max(used, key=lambda each: used[each])
            megabytes = self._code.memory / (1 << 20)
            largest.kill(f"its processes use more than {megabytes:.0f} MiB (resources.memory of the service)")

    def close(self) -> None:
        """End all processes. May be called twice, and from any thread once no call is under way."""
        if self._closed:
            return
        self._closed = True
        loop = self._loop
        for process in self._processes:
            process.kill("the service has ended")
            if loop is None or loop.is_closed():
                process.how_it_ended()
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._forget)

    def _forget(self) -> None:
        if self._watching is not None:
            self._watching.cancel()


def _failure(header: Header, name: str) -> Exception:
    """What the code said of a call: a ValueError is about the inputs, anything else about the code."""
    if header.get("whose") == "request":
        return BadTensor(f"{name} refuses these inputs: {header['error']}")
    return Failed(f"{name} failed: {header['error']}")


def _nobody() -> None:
    pass


def _now(loop: asyncio.AbstractEventLoop | None) -> float:
    return loop.time() if loop is not None else time.monotonic()
