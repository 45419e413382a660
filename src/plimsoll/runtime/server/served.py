"""One loaded version of a model: where its requests are computed, and its counts."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Literal

import numpy as np

from plimsoll.runtime.model import Model, OnnxModel, RunOptions
from plimsoll.runtime.server.batching import Batcher
from plimsoll.runtime.server.counts import Records
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.server.texts.request import ComputedRequest
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor, dtype_of

SMALL = 4096
"""Elements of a request up to which a quick model runs in the event loop: a thread would cost more than the run."""
QUICK = 0.001
"""Seconds of a usual run on small inputs below which a model is quick."""
MEASURE_EVERY = 16
"""Requests between two measurements: asking for a thread's processor time is a system call."""


Answerer = Literal["onnx", "code", "index", "llm", "assistant"]


class Served:
    """A model version and its counts; a subclass says how its requests are computed."""

    model: Model
    kind: ClassVar[Answerer] = "onnx"

    def __init__(self, model: Model, version: str, records: Records, batching: Batching) -> None:
        self.model = model
        self.name = model.spec.name
        self.version = version
        self.fronts: dict[type[object], Any] = {}
        """What fronts keep for this version, by the type of the value, so that it is freed with the version.

        `Any`, as only the front knows the value's type: a check would cost each request a call.
        """
        self.record = records.answers
        self.shadow_record = records.copies
        self.batching = batching
        self.file: ModelFile | None = None
        """What the service file says of it, where a change of any of that is another version."""
        self.queued = 0
        """Requests that wait for a thread or run in one."""

    @property
    def problem(self) -> str:
        """Why it cannot answer at present; empty when it can."""
        return ""

    @property
    def under_way(self) -> int:
        """Requests that have begun, where their paths do not say which model they are for."""
        return 0

    @property
    def waiting(self) -> int:
        """Those of them whose turn has not come."""
        return 0

    @property
    def most_connections(self) -> int:
        """Connections that its answers take at most, besides those of the clients."""
        return 0

    @property
    def typical_seconds(self) -> float:
        """Average seconds of a request, over all that were answered."""
        return self.record.seconds / max(1, sum(self.record.latencies))

    def attach(self) -> None:
        """Called in the event loop before the first request; may be called again."""

    def close(self) -> None:
        """End what it has running outside of this process."""

    def quick(self, request: InferenceRequest) -> bool:
        """Whether the request is best computed in the event loop, by `run_at_once`."""
        return False

    def run_at_once(self, request: InferenceRequest) -> dict[str, Array]:
        """Outputs by name, computed in the caller's thread. Raises BadTensor."""
        raise NotImplementedError

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """Outputs by name, computed elsewhere, and the number of requests that were computed together.

        Raises BadTensor, TimeoutError after `limit` seconds, and refusals.
        """
        raise NotImplementedError


class ServedOnnx(Served):
    """A version that ONNX Runtime computes in this process, with its threads and its batcher."""

    model: OnnxModel

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
        super().__init__(model, version, records, batching)
        self.pool = pool
        self._usual_seconds = 0.0
        self._runs = 0
        self.batcher = None
        if batching.rows > 1 and rows_are_independent(model):
            self.batcher = Batcher(model.run, pool, threads, batching)
        # The first run of a session allocates memory and is slow; it must not decide where requests are computed.
        self._warm_up()

    def quick(self, request: InferenceRequest) -> bool:
        """Whether the request is best computed in the event loop."""
        if self._usual_seconds >= QUICK or isinstance(request, ComputedRequest):
            return False
        size = 0
        for array in request.inputs.values():
            size += array.size
        return size <= SMALL

    def run_at_once(self, request: InferenceRequest) -> dict[str, Array]:
        """Outputs by name, computed in the caller's thread. Raises BadTensor."""
        self._runs += 1
        if self._runs % MEASURE_EVERY:
            return self.model.run(request.inputs, request.outputs)
        began = time.thread_time()
        results = self.model.run(request.inputs, request.outputs)
        self._learn_duration(time.thread_time() - began)
        return results

    def _learn_duration(self, seconds: float) -> None:
        """Update the usual duration with a small request's processor time: waiting says nothing about the model."""
        self._usual_seconds += 0.2 * (seconds - self._usual_seconds)

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """Outputs by name, computed in a thread, and the number of requests that were computed together.

        Raises BadTensor, TimeoutError after `limit` seconds.
        """
        self.queued += 1
        try:
            async with asyncio.timeout(limit):
                if self.batcher is not None and self._fits_a_batch(request):
                    return await self.batcher.submit(request.inputs, request.outputs)
                return await self._unbatched(request), 1
        finally:
            self.queued -= 1

    async def _unbatched(self, request: InferenceRequest) -> dict[str, Array]:
        loop = asyncio.get_running_loop()
        options = self.model.run_options()
        try:
            return await loop.run_in_executor(self.pool, self._in_thread, request, options)
        except asyncio.CancelledError:
            # The run ends at its next operator: nobody waits for its result, and others wait for the thread.
            options.terminate = True
            raise

    def _in_thread(self, request: InferenceRequest, options: RunOptions) -> dict[str, Array]:
        if isinstance(request, ComputedRequest):
            return request.compute(options)
        began = time.thread_time()
        results = self.model.run(request.inputs, request.outputs, options)
        if sum(array.size for array in request.inputs.values()) <= SMALL:
            self._learn_duration(time.thread_time() - began)
        return results

    def _fits_a_batch(self, request: InferenceRequest) -> bool:
        inputs = request.inputs
        if isinstance(request, ComputedRequest) or len(inputs) != len(self.model.spec.inputs):
            return False
        rows = {len(array) for array in inputs.values()}
        known = {tensor.name for tensor in self.model.spec.outputs}
        return len(rows) == 1 and rows.pop() > 0 and known.issuperset(request.outputs)

    def _warm_up(self) -> None:
        inputs = example_inputs(self.model.spec.inputs, 1)
        seconds = []
        for _ in range(4):
            began = time.thread_time()
            try:
                self.model.run(inputs)
            except BadTensor:
                # Drawn inputs may be outside of what the model accepts; real requests may still be inside. The first
                # of them run in a thread, as nobody knows how long they take.
                self._usual_seconds = 2 * QUICK
                return
            seconds.append(time.thread_time() - began)
        self._usual_seconds = min(seconds)


def example_inputs(inputs: Sequence[TensorSpec], rows: int, seed: int = 0) -> dict[str, Array]:
    """Drawn inputs in the model's own shape: an open first dimension gets `rows`, other open dimensions get 1."""
    # Python's generator is there already; numpy.random would be loaded for these few numbers at each start.
    draw = random.Random(seed)  # noqa: S311 - example values, no secrets
    drawn: dict[str, Array] = {}
    for tensor in inputs:
        sizes = [size if size >= 0 else (rows if place == 0 else 1) for place, size in enumerate(tensor.shape)]
        count = math.prod(sizes)
        kind = np.dtype(dtype_of(tensor.datatype))
        if kind.kind == "O":
            drawn[tensor.name] = np.full(sizes, "a", dtype=np.object_)
        elif kind.kind == "f":
            # With mean 0 and variance 1.
            values = np.frombuffer(draw.randbytes(2 * count), dtype=np.uint16) / 65535 - 0.5
            drawn[tensor.name] = (values * math.sqrt(12)).astype(kind).reshape(sizes)
        else:
            bits = np.frombuffer(draw.randbytes(count), dtype=np.uint8) & 1
            drawn[tensor.name] = bits.astype(kind).reshape(sizes)
    return drawn


def rows_are_independent(model: OnnxModel) -> bool:
    """Whether a row has the same outputs in a batch as alone, which is tried with drawn inputs."""
    tensors = (*model.spec.inputs, *model.spec.outputs)
    if any(not tensor.shape or tensor.shape[0] != -1 for tensor in tensors):
        return False
    try:
        return same_alone_and_together(example_inputs(model.spec.inputs, 3), model.run)
    except BadTensor:
        return False


def same_alone_and_together(together: Mapping[str, Array], run: Callable[[dict[str, Array]], dict[str, Array]]) -> bool:
    """Whether each of three rows has the same outputs alone. Raises what `run` raises."""
    whole = run(dict(together))
    for row in range(3):
        alone = run({name: array[row : row + 1] for name, array in together.items()})
        if not all(len(whole[name]) == 3 and _close(alone[name], whole[name][row : row + 1]) for name in whole):
            return False
    return True


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True))
    return bool((one == other).all())
