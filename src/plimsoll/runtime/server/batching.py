"""Requests computed together, for models on which that pays, within a budget of latency.

A batch starts when a thread is free and it is full, or its oldest request has waited as long as it may. While all
threads are busy requests gather by themselves, so that waiting is for light load only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct

from plimsoll.runtime.server.service_file import Batching
from plimsoll.runtime.tensors import Array, BadTensor

Inputs = dict[str, Array]
Run = Callable[[Inputs, Sequence[str]], dict[str, Array]]


class _Waiting(Struct):
    inputs: Inputs
    rows: int
    arrived: float
    future: asyncio.Future[tuple[dict[str, Array], int]]


class Batcher:
    """Gathers requests of one model that fit together: equal outputs wanted, equal shapes but for the rows."""

    def __init__(self, run: Run, executor: Executor, threads: int, batching: Batching) -> None:
        self._run = run
        self._executor = executor
        self._free = threads
        self.batching = batching
        self._waiting: dict[tuple[Any, ...], list[_Waiting]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._expected = 0.0
        """Seconds of a batch, by the recent ones."""

    def submit(self, inputs: Inputs, outputs: Sequence[str]) -> asyncio.Future[tuple[dict[str, Array], int]]:
        """The outputs for these inputs, and how many requests were computed together. BadTensor as `Model.run`."""
        loop = asyncio.get_running_loop()
        key = (*outputs, *((name, array.dtype, *array.shape[1:]) for name, array in sorted(inputs.items())))
        rows = len(next(iter(inputs.values())))
        waiting = _Waiting(inputs, rows, loop.time(), loop.create_future())
        self._waiting.setdefault((tuple(outputs), key), []).append(waiting)
        self._start_what_may()
        return waiting.future

    def _start_what_may(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._free and self._waiting:
            # The group whose oldest request has waited longest comes first.
            key = min(self._waiting, key=lambda each: self._waiting[each][0].arrived)
            full = [each for each, group in self._waiting.items() if sum(w.rows for w in group) >= self.batching.rows]
            start = self.batching.latest_start(self._waiting[key][0].arrived, self._expected)
            if start > loop.time() and not full:
                self._timer = loop.call_at(start, self._start_what_may)
                return
            chosen = key if start <= loop.time() else full[0]
            batch = self._taken(chosen)
            self._free -= 1
            task = loop.run_in_executor(self._executor, self._compute, batch, chosen[0])
            task.add_done_callback(partial(self._finished, batch))

    def _taken(self, key: tuple[Any, ...]) -> list[_Waiting]:
        group = self._waiting[key]
        taken, rows = [group.pop(0)], 0
        rows = taken[0].rows
        while group and rows + group[0].rows <= self.batching.rows:
            rows += group[0].rows
            taken.append(group.pop(0))
        if not group:
            del self._waiting[key]
        return taken

    def _compute(
        self, batch: Sequence[_Waiting], outputs: Sequence[str]
    ) -> tuple[list[dict[str, Array] | BadTensor], float]:
        """What each request gets, and the seconds that it took; called in a thread."""
        began = time.perf_counter()
        results = self._together(batch, outputs) if len(batch) > 1 else None
        if results is None:
            results = [self._alone(each, outputs) for each in batch]
        return results, time.perf_counter() - began

    def _together(self, batch: Sequence[_Waiting], outputs: Sequence[str]) -> list[dict[str, Array] | BadTensor] | None:
        """`None` when they cannot be computed together: one of them is then at fault, and the others must not pay."""
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

    def _alone(self, each: _Waiting, outputs: Sequence[str]) -> dict[str, Array] | BadTensor:
        try:
            return self._run(each.inputs, outputs)
        except BadTensor as error:
            return error

    def _finished(self, batch: Sequence[_Waiting], done: asyncio.Future[Any]) -> None:
        self._free += 1
        failure = done.exception()
        if failure is None:
            results, seconds = done.result()
            self._expected = seconds if not self._expected else 0.8 * self._expected + 0.2 * seconds
        else:
            results = [failure] * len(batch)
        for each, result in zip(batch, results, strict=True):
            if each.future.done():
                continue
            if isinstance(result, BaseException):
                each.future.set_exception(result)
            else:
                each.future.set_result((result, len(batch)))
        self._start_what_may()
