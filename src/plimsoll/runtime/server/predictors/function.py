"""A user's `predict(inputs) -> outputs` as what answers for a version."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from plimsoll.errors import TargetError
from plimsoll.runtime.server.predictors.answers import WrongAnswer, learnt, require_tensors
from plimsoll.runtime.server.predictors.pool import FunctionPool
from plimsoll.runtime.server.refusals import Failed
from plimsoll.runtime.server.served import example_inputs, same_alone_and_together
from plimsoll.runtime.server.service_file import OwnCode
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor, from_values

FIRST_CALL = 30.0
"""Seconds for each of the calls by which a function is tried."""
ZEROS: dict[str, bool | int | float | str] = {"BOOL": False, "BYTES": ""}
Arrays = dict[str, Array]


class Function:
    """Processes with the function: a `Runner`."""

    def __init__(self, code: OwnCode, model: str, processes: int) -> None:
        """Start and try it. Raises TargetError when it does not come up, or gives what it may not."""
        self._name = f"predict() of {code.script}"
        self._code = code
        self._pool = FunctionPool(self._name, code, model, processes)
        self.inputs = code.inputs
        self.example: Mapping[str, Array] = {}
        self._pool.start()
        try:
            self.outputs = self._pool.outputs = self._tried()
        except BaseException:  # also at Ctrl-C no process stays
            self._pool.close()
            raise

    @property
    def problem(self) -> str:
        """Why it cannot answer at present; empty when it can."""
        return self._pool.problem

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch over the processes."""
        self._pool.attach(loop)

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever a process is started again."""
        self._pool.on_restart = report

    async def infer(self, inputs: Mapping[str, Array], limit: float) -> tuple[Arrays, int]:
        """All outputs, and how many calls were computed together.

        Raises BadTensor, Failed, NotReady, DeadlinePassed.
        """
        return await self._pool.infer(dict(inputs), limit)

    def close(self) -> None:
        """End all processes."""
        self._pool.close()

    def wait(self) -> None:
        """They are killed, which takes no time."""

    # How it is tried before its first request.

    def _tried(self) -> tuple[TensorSpec, ...]:
        """The outputs, declared or seen. Rows that are the same alone and together are computed together later."""
        try:
            one = self._try(self._example())
            self.example = one
        except (BadTensor, Failed) as failure:
            if self._code.outputs:
                return self._code.outputs
            hint = "correct it, or give the service a `sample` that it takes"
            raise TargetError(f"it cannot be tried: {failure}", where=self._name, hint=hint, lasting=True) from None
        try:
            if self._code.outputs:
                require_tensors(one, self._code.outputs)
                self._try_rows(self._code.outputs)
                return self._code.outputs
            return self._try_rows(learnt(one, None)) or learnt(one, None)
        except WrongAnswer as wrong:
            message = f"its answer is wrong: {wrong}"
            raise TargetError(message, where=self._name, hint="correct the script", lasting=True) from None

    def _try_rows(self, outputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Try three drawn rows alone and together; the outputs as these show them, or none when it refuses them."""
        if any(spec.shape[:1] != (-1,) for spec in (*self.inputs, *outputs)):
            return ()
        three = example_inputs(self.inputs, 3)
        try:
            whole = self._try(three)
            alone = self._try({name: array[:1] for name, array in three.items()})
            self._pool.rows_independent = same_alone_and_together(three, self._try)
        except (BadTensor, Failed, KeyError, IndexError):
            # Drawn inputs may be outside of what it accepts, or give other outputs: it is asked row by row then.
            return ()
        return learnt(alone, whole) if alone.keys() == whole.keys() else ()

    def _try(self, inputs: Arrays) -> Arrays:
        return self._pool.try_once(inputs, FIRST_CALL)

    def _example(self) -> Arrays:
        drawn = example_inputs(self.inputs, 1)
        for spec in self.inputs:
            given = self._code.sample.get(spec.name)
            if given is not None:
                zeros = [ZEROS.get(spec.datatype, 0)] * math.prod(given.shape)
                values: list[bool | int | float | str] = list(given.data) or zeros
                drawn[spec.name] = from_values(values, spec.datatype).reshape(given.shape)
        return drawn
