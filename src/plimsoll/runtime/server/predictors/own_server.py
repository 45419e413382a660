"""A user's own HTTP server on $PORT that speaks the Open Inference Protocol, behind ours."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.predictors.answers import WrongAnswer, split
from plimsoll.runtime.server.predictors.apart import ending_inside
from plimsoll.runtime.server.predictors.http_calls import Caller, NoAnswer
from plimsoll.runtime.server.predictors.process import (
    END_LIMIT,
    ending_of,
    memory_of_group,
    require_unchanged,
    signal_group,
    start,
)
from plimsoll.runtime.server.predictors.waits import PAUSES, START_LIMIT
from plimsoll.runtime.server.refusals import DeadlinePassed, Failed, NotReady
from plimsoll.runtime.server.service_file import OwnCode
from plimsoll.runtime.specs import TensorSpec, spec_from_metadata
from plimsoll.runtime.tensors import DTYPES, Array

CALLS = 32
"""Calls under way at once; others wait."""
LOOK = 0.1
"""Seconds between two looks at a server that comes up."""
WATCH = 0.5
"""Seconds between two looks at one that is up."""
LIVE_EVERY, LIVE_LIMIT, LIVE_MISSES = 5.0, 5.0, 3
"""A server that does not say so many times in a row that it lives is ended and started again."""
STOP_LIMIT = 5.0
"""Seconds that the server has to end by itself."""


class OwnServer:
    """The server's process: a `Runner`."""

    def __init__(self, code: OwnCode, name: str, model: str) -> None:
        """Start it and read what it takes and gives. Raises TargetError with the reason when it does not come up."""
        self._code = code
        self._name = name
        self._model = model
        self._what = f"the server '{' '.join(code.argv)}'"
        self._closing = threading.Event()
        self._restarted: list[Callable[[], None]] = []
        self._process, self._caller = self._started()
        self.problem = ""
        self.example: Mapping[str, Array] = {}
        try:
            self.inputs, self.outputs = self._specs(time.monotonic() + START_LIMIT)
            self._live = self._caller.says("/v2/health/live", LIVE_LIMIT)
        except BaseException:  # also at Ctrl-C no process stays
            self._end()
            raise
        self._pool = ThreadPoolExecutor(max_workers=CALLS, thread_name_prefix="own-server")
        self._watching = threading.Thread(target=self._watch, name="own-server-watch", daemon=True)
        self._watching.start()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing is left to do: a thread watches over the process."""

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever the server is started again."""
        self._restarted.append(report)

    async def infer(self, inputs: Mapping[str, Array], limit: float) -> tuple[dict[str, Array], int]:
        """All outputs. Raises BadTensor, Failed, NotReady, DeadlinePassed."""
        if self.problem:
            raise NotReady(self.problem)
        deadline = time.monotonic() + limit
        answering = asyncio.get_running_loop().run_in_executor(self._pool, self._infer, inputs, deadline)
        async with asyncio.timeout(limit + WATCH):
            return await answering, 1

    def _infer(self, inputs: Mapping[str, Array], deadline: float) -> dict[str, Array]:
        left = deadline - time.monotonic()
        try:
            outputs = self._caller.infer(self._name, inputs, left)
            (answer,) = split(outputs, self.outputs, [1])
        except TimeoutError:
            raise DeadlinePassed(f"{self._what} had not answered after {left:.3g} s") from None
        except NoAnswer as error:
            raise Failed(f"{self._what} failed: {self.problem or error}") from error
        except WrongAnswer as wrong:
            answer = wrong
        if isinstance(answer, WrongAnswer):
            raise Failed(f"the answer of {self._what} is wrong: {answer}")
        return answer

    def close(self) -> None:
        """Have the process end; the thread that watches over it sees to that."""
        self._closing.set()
        signal_group(self._process.pid, signal.SIGTERM)

    def wait(self) -> None:
        """Wait until the thread that watches over it has seen its end."""
        self._watching.join(STOP_LIMIT + 2 * END_LIMIT)

    # Its process.

    def _started(self) -> tuple[subprocess.Popen[bytes], Caller]:
        require_unchanged(self._code)
        port = _free_port()
        more = {"PORT": str(port), "HOST": "127.0.0.1", "PLIMSOLL_MODEL_NAME": self._name}
        return start(self._code, self._model, list(self._code.argv), (), more), Caller("127.0.0.1", port)

    def _specs(self, deadline: float) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """What the server says that it takes and gives, once it is ready."""
        while True:
            told = self._caller.readiness(LIVE_LIMIT)
            if not told:
                break
            if self._process.poll() is not None:
                raise self._unready(ending_of(ending_inside(self._code.sandbox, self._process.returncode)))
            if time.monotonic() > deadline:
                raise self._unready(f"it was not ready within {START_LIMIT:g} s: {told}")
            if self._closing.wait(LOOK):
                raise self._unready("the service has ended")
        try:
            spec = spec_from_metadata(self._caller.metadata(self._name, LIVE_LIMIT))
        except (NoAnswer, TimeoutError) as error:
            raise self._unready(str(error)) from None
        except (KeyError, TypeError, AttributeError) as error:
            raise self._unready(f"its /v2/models/{self._name} is no metadata of the protocol: {error!r}") from None
        for tensor in (*spec.inputs, *spec.outputs):
            if tensor.datatype not in DTYPES:
                raise self._unready(f"'{tensor.name}' is {tensor.datatype}, which is not served")
        return spec.inputs, spec.outputs

    def _unready(self, reason: str) -> TargetError:
        hint = "a server listens on $PORT, a function is a Python script with predict(inputs); read the service's log"
        return TargetError(f"it does not come up: {reason}", where=self._what, hint=hint, lasting=True)

    def _watch(self) -> None:
        """Start the server again when it has ended, does not say that it lives, or uses too much memory."""
        ends = misses = 0
        looked = time.monotonic()
        while not self._closing.wait(WATCH):
            reason = ""
            if self._process.poll() is not None:
                reason = ending_of(ending_inside(self._code.sandbox, self._process.returncode))
            elif self._code.memory is not None and memory_of_group(self._process.pid) > self._code.memory:
                limit = self._code.memory / (1 << 20)
                reason = f"it used more than {limit:.0f} MiB (resources.memory of the service)"
            elif self._live and time.monotonic() - looked > LIVE_EVERY:
                looked = time.monotonic()
                misses = 0 if self._caller.says("/v2/health/live", LIVE_LIMIT) else misses + 1
                if misses >= LIVE_MISSES:
                    reason = f"it has not said that it lives for {misses * LIVE_EVERY:g} s"
                ends = ends if misses else 0
            if reason:
                ends, misses = ends + 1, 0
                self._again(reason, PAUSES[min(ends, len(PAUSES)) - 1])
        self._end()
        self._pool.shutdown(wait=False)

    def _again(self, reason: str, pause: float) -> None:
        self.problem = f"{self._what} is not up: {reason}"
        sys.stderr.write(f"{self._what}: {reason}; it is started again\n")
        for report in self._restarted:
            report()
        self._end()
        if self._closing.wait(pause):
            return
        try:
            self._process, self._caller = self._started()
            inputs, outputs = self._specs(time.monotonic() + START_LIMIT)
            if (inputs, outputs) != (self.inputs, self.outputs):
                raise self._unready("it takes or gives other tensors than before")
        except PlimsollError as error:
            self.problem = error.on_one_line()
            sys.stderr.write(f"{self.problem}\n")
            return
        self.problem = ""

    def _end(self) -> None:
        self._caller.close()
        signal_group(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT)
        signal_group(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_LIMIT)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
