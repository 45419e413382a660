"""One version of a model as it is served: how its requests are computed, and what is counted of them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.batching import Batcher
from plimsoll.runtime.server.counts import Records
from plimsoll.runtime.server.exchange import Exchange, Question
from plimsoll.runtime.server.service_file import Batching
from plimsoll.runtime.tensors import Array, BadTensor, dtype_of

SMALL = 4096
"""Elements of a request up to which a quick model runs at once: a thread would cost more than it takes."""
QUICK = 0.001
"""Seconds within which a model is quick, by its usual run on small inputs."""
LOOK = 16
"""Every how many requests it is measured again: asking for a thread's processor time is a system call."""


class Served:
    """A model version with its exchange, its threads and its record."""

    def __init__(
        self,
        model: OnnxModel,
        version: str,
        records: Records,
        *,
        pool: ThreadPoolExecutor,
        threads: int,
        batching: Batching,
    ) -> None:
        self.model = model
        self.name = model.spec.name
        self.version = version
        self.exchange = Exchange(model, version)
        self.record = records.answers
        self.shadow_record = records.copies
        self.batching = batching
        self.pool = pool
        self.queued = 0
        """Requests that wait for a thread or run in one."""
        self._usual = 0.0
        self._runs = 0
        self.batcher = None
        if batching.rows > 1 and rows_are_independent(model):
            self.batcher = Batcher(model.run, pool, threads, batching)
        # The first run of a session allocates and is slow; it must not decide where requests are run.
        self._warm_up()

    def quick(self, question: Question) -> bool:
        """Whether the request is best computed at once."""
        if self._usual >= QUICK:
            return False
        size = 0
        for array in question.inputs.values():
            size += array.size
        return size <= SMALL

    @property
    def typical_seconds(self) -> float:
        """Seconds of a request, by all that were answered."""
        return self.record.seconds / max(1, sum(self.record.latencies))

    def run_at_once(self, question: Question) -> dict[str, Array]:
        """Compute in the caller's thread. Raises BadTensor."""
        self._runs += 1
        if self._runs % LOOK:
            return self.model.run(question.inputs, question.outputs)
        began = time.thread_time()
        results = self.model.run(question.inputs, question.outputs)
        self._took(time.thread_time() - began)
        return results

    def _took(self, seconds: float) -> None:
        """Learn how long a small request takes, in processor time: being interrupted says nothing about the model."""
        self._usual += 0.2 * (seconds - self._usual)

    async def run_later(self, question: Question, limit: float) -> tuple[dict[str, Array], int]:
        """Compute in a thread, with others where that pays; gives the size of the batch.

        Raises BadTensor, TimeoutError after `limit` seconds.
        """
        self.queued += 1
        try:
            async with asyncio.timeout(limit):
                if self.batcher is not None and self._fits_a_batch(question):
                    return await self.batcher.submit(question.inputs, question.outputs)
                return await self._alone(question), 1
        finally:
            self.queued -= 1

    async def _alone(self, question: Question) -> dict[str, Array]:
        loop = asyncio.get_running_loop()
        options = self.model.run_options()
        try:
            return await loop.run_in_executor(self.pool, self._in_thread, question, options)
        except asyncio.CancelledError:
            # The model is told to end at its next operator: a thread that computes for nobody is a thread less.
            options.terminate = True
            raise

    def _in_thread(self, question: Question, options: Any) -> dict[str, Array]:
        began = time.thread_time()
        results = self.model.run(question.inputs, question.outputs, options)
        if sum(array.size for array in question.inputs.values()) <= SMALL:
            self._took(time.thread_time() - began)
        return results

    def _fits_a_batch(self, question: Question) -> bool:
        inputs = question.inputs
        if len(inputs) != len(self.model.spec.inputs):
            return False
        rows = {len(array) for array in inputs.values()}
        known = {tensor.name for tensor in self.model.spec.outputs}
        return len(rows) == 1 and rows.pop() > 0 and known.issuperset(question.outputs)

    def _warm_up(self) -> None:
        inputs = example_inputs(self.model, 1)
        seconds = []
        for _ in range(4):
            began = time.thread_time()
            try:
                self.model.run(inputs)
            except BadTensor:
                # A model that cannot compute with an example may well compute with what it is asked.
                return
            seconds.append(time.thread_time() - began)
        self._usual = min(seconds)


def example_inputs(model: OnnxModel, rows: int, seed: int = 0) -> dict[str, Array]:
    """Inputs in the model's own shape: `rows` in the first dimension where it is open, one in other open ones."""
    draw = np.random.default_rng(seed)
    inputs = {}
    for tensor in model.spec.inputs:
        sizes = [size if size >= 0 else (rows if place == 0 else 1) for place, size in enumerate(tensor.shape)]
        kind = np.dtype(dtype_of(tensor.datatype))
        if kind.kind == "O":
            inputs[tensor.name] = np.full(sizes, "a", dtype=np.object_)
        elif kind.kind == "f":
            inputs[tensor.name] = draw.normal(size=sizes).astype(kind)
        else:
            inputs[tensor.name] = draw.integers(0, 2, size=sizes).astype(kind)
    return inputs


def rows_are_independent(model: OnnxModel) -> bool:
    """Whether rows computed together give what each gives alone: tried, with drawn inputs, not assumed."""
    tensors = (*model.spec.inputs, *model.spec.outputs)
    if any(not tensor.shape or tensor.shape[0] != -1 for tensor in tensors):
        return False
    together = example_inputs(model, 3)
    try:
        whole = model.run(together)
        for row in range(3):
            alone = model.run({name: array[row : row + 1] for name, array in together.items()})
            if not all(_close(alone[name], whole[name][row : row + 1]) for name in whole):
                return False
    except BadTensor:
        return False
    return True


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True))
    return bool((one == other).all())
