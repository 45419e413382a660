"""Batching: requests that are computed together, within a budget of latency.

A batch starts when a thread is free and either the batch is full or its oldest request has waited for the time limit.
While all threads are busy, requests collect without a wait; the time limit matters under light load only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np
from msgspec import Struct

from plimsoll.runtime.server.service_file import Batching
from plimsoll.runtime.tensors import Array, BadTensor

Inputs = dict[str, Array]
Result = dict[str, Array] | BadTensor
Run = Callable[[Inputs, Sequence[str]], dict[str, Array]]


Group = tuple[tuple[str, ...], tuple[object, ...]]
"""The outputs that requests ask for, and everything that must be equal for them to be computed together."""


class _Waiting(Struct):
    inputs: Inputs
    rows: int
    arrived: float
    future: asyncio.Future[tuple[dict[str, Array], int]]


class Batcher:
    """Collects requests of one model with the same outputs and the same shapes, except for the number of rows."""

    def __init__(self, run: Run, executor: Executor, threads: int, batching: Batching) -> None:
        self._run = run
        self._executor = executor
        self._free = threads
        self.batching = batching
        self._waiting: dict[Group, list[_Waiting]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._expected_seconds = 0.0
        """Seconds that a batch takes, as an average of recent ones."""

    def submit(self, inputs: Inputs, outputs: Sequence[str]) -> asyncio.Future[tuple[dict[str, Array], int]]:
        """Outputs by name, and the number of requests in the batch. The future raises BadTensor as `Model.run` does."""
        loop = asyncio.get_running_loop()
        key = (*outputs, *((name, array.dtype, *array.shape[1:]) for name, array in sorted(inputs.items())))
        rows = len(next(iter(inputs.values())))
        waiting = _Waiting(inputs, rows, loop.time(), loop.create_future())
        self._waiting.setdefault((tuple(outputs), key), []).append(waiting)
        self._start_due_batches()
        return waiting.future

    def _start_due_batches(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._free and self._waiting:
            # The group with the oldest request is first.
            key = min(self._waiting, key=lambda each: self._waiting[each][0].arrived)
            full = [each for each, group in self._waiting.items() if sum(w.rows for w in group) >= self.batching.rows]
            start = self.batching.latest_start(self._waiting[key][0].arrived, self._expected_seconds)
            if start > loop.time() and not full:
                self._timer = loop.call_at(start, self._start_due_batches)
                return
            chosen = key if start <= loop.time() else full[0]
            batch = self._take_batch(chosen)
            self._free -= 1
            task = loop.run_in_executor(self._executor, self._compute, batch, chosen[0])
            task.add_done_callback(partial(self._finished, batch))

    def _take_batch(self, key: Group) -> list[_Waiting]:
        group = self._waiting[key]
        taken, rows = [group.pop(0)], 0
        rows = taken[0].rows
        while group and rows + group[0].rows <= self.batching.rows:
            rows += group[0].rows
            taken.append(group.pop(0))
        if not group:
            del self._waiting[key]
        return taken

    def _compute(self, batch: Sequence[_Waiting], outputs: Sequence[str]) -> tuple[list[Result], float]:
        """The results of each request, and the seconds of the batch; called in a thread."""
        began = time.perf_counter()
        results = self._run_batch(batch, outputs) if len(batch) > 1 else None
        if results is None:
            results = [self._run_single(each, outputs) for each in batch]
        return results, time.perf_counter() - began

    def _run_batch(self, batch: Sequence[_Waiting], outputs: Sequence[str]) -> list[Result] | None:
        """The results of a batch; `None` when its requests must be computed one by one, as one of them may be bad."""
        inputs = {name: np.concatenate([each.inputs[name] for each in batch]) for name in batch[0].inputs}
        try:
            whole = self._run(inputs, outputs)
        except BadTensor:
            return None
        total = sum(each.rows for each in batch)
        if any(array.ndim == 0 or len(array) != total for array in whole.values()):
            return None
        ends = np.cumsum([each.rows for each in batch])
        return [
            {name: array[end - each.rows : end] for name, array in whole.items()}
            for each, end in zip(batch, ends, strict=True)
        ]

    def _run_single(self, each: _Waiting, outputs: Sequence[str]) -> Result:
        try:
            return self._run(each.inputs, outputs)
        except BadTensor as error:
            return error

    def _finished(
        self, batch: Sequence[_Waiting], done: asyncio.Future[tuple[list[dict[str, Array] | BadTensor], float]]
    ) -> None:
        self._free += 1
        failure = done.exception()
        outcomes: Sequence[Result | BaseException]
        if failure is None:
            outcomes, seconds = done.result()
            before = self._expected_seconds or seconds
            self._expected_seconds = 0.8 * before + 0.2 * seconds
        else:
            outcomes = [failure] * len(batch)
        for each, result in zip(batch, outcomes, strict=True):
            if each.future.done():
                continue
            if isinstance(result, BaseException):
                each.future.set_exception(result)
            else:
                each.future.set_result((result, len(batch)))
        self._start_due_batches()
