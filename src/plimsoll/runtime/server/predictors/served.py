"""A version that is the user's own code, as the data plane knows versions."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from plimsoll.runtime.model import check_input, require_inputs, require_outputs
from plimsoll.runtime.server.counts import Record, Records
from plimsoll.runtime.server.predictors.runner import Runner
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Answerer, Served
from plimsoll.runtime.server.service_file import Batching, ModelFile
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array


class OwnModel:
    """What is known of the code: a `Model`."""

    def __init__(self, file: ModelFile, runner: Runner) -> None:
        self.path = Path(file.path)
        self.digest = file.digest
        self.spec = ModelSpec(name=file.name, inputs=runner.inputs, outputs=runner.outputs)
        self.inputs = {tensor.name: tensor for tensor in runner.inputs}
        self.outputs = [tensor.name for tensor in runner.outputs]

    def check(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Raise BadTensor unless there is an input with this name, datatype and shape."""
        check_input(self.inputs, name, datatype, shape)


class ServedPredictor(Served):
    """A version that a runner computes. Its processes end with the last request that it answers."""

    model: OwnModel
    kind: ClassVar[Answerer] = "code"

    def __init__(self, file: ModelFile, runner: Runner, records: Records, batching: Batching) -> None:
        super().__init__(OwnModel(file, runner), file.version, records, batching)
        self.file = file
        self._runner = runner
        runner.report_restarts(partial(_count, records.answers))
        weakref.finalize(self, runner.close)

    @property
    def problem(self) -> str:
        """Why it cannot answer at present."""
        return self._runner.problem

    def attach(self) -> None:
        """Begin to watch over its processes."""
        self._runner.attach(asyncio.get_running_loop())

    def close(self) -> None:
        """End its processes, and wait for that."""
        self._runner.close()
        self._runner.wait()

    async def run_later(self, request: InferenceRequest, limit: float) -> tuple[dict[str, Array], int]:
        """The outputs that are asked for, and how many requests were computed together."""
        require_inputs(self.model.inputs, request.inputs)
        if request.outputs:
            require_outputs(self.model.outputs, request.outputs)
        self.queued += 1
        try:
            outputs, together = await self._runner.infer(request.inputs, limit)
        finally:
            self.queued -= 1
        return {name: outputs[name] for name in request.outputs or self.model.outputs}, together


def _count(record: Record) -> None:
    record.restarts += 1
