"""Copies of requests for shadow versions: a version computes real requests, and nobody gets its answers."""

from __future__ import annotations

import asyncio
import time

from plimsoll.runtime.server.inference import Inference
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.recording import OK, Recorder
from plimsoll.runtime.server.refusals import BadInput, Busy, DeadlinePassed, TooLarge
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import BadTensor


class _Copy(Inference):
    __slots__ = ()

    shadow = True


BYTES_OF_TEXT = 64
"""Of an element that is a text, about."""


class Shadowing:
    """Computes copies in the background.

    `queue` and `seconds` are the limits of the data plane; `memory` is in bytes of the tensors of all copies together.
    """

    def __init__(self, recorder: Recorder, *, queue: int, seconds: float, memory: int) -> None:
        self._recorder = recorder
        self._queue = queue
        self._seconds = seconds
        self._memory = Memory(memory)
        self._tasks: set[asyncio.Task[None]] = set()

    def copy(self, served: Served, request: InferenceRequest, of: Inference) -> None:
        """Let a version compute a copy of a request. A copy beyond the limits is dropped, and counted."""
        size = _bytes_of(request)
        if served.queued >= self._queue or not self._fits(size):
            served.shadow_record.add(Busy.code, 0.0)
            return
        copy = _Copy(of.headers, of.client)
        copy.served, copy.request, copy.began = served, request, time.perf_counter()
        task = asyncio.get_running_loop().create_task(self._compute(copy, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._memory.change(-size))

    def _fits(self, size: int) -> bool:
        """Count the bytes of a copy; false when they are too many, which are then not counted."""
        try:
            self._memory.reserve(size)
        except (Busy, TooLarge):
            return False
        return True

    async def _compute(self, copy: Inference, request: InferenceRequest) -> None:
        try:
            results, copy.batch = await copy.served.run_later(request, self._seconds)
        except BadTensor as bad:
            self._recorder.record(copy, BadInput.code, reason=str(bad))
        except TimeoutError:
            self._recorder.record(copy, DeadlinePassed.code, reason="the copy was not answered in time")
        else:
            self._recorder.record(copy, OK, results)


def _bytes_of(request: InferenceRequest) -> int:
    return sum(
        array.nbytes + (BYTES_OF_TEXT * array.size if array.dtype.kind == "O" else 0)
        for array in request.inputs.values()
    )
