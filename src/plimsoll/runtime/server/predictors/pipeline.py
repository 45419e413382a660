"""Steps one after another: each is a model or the user's code, and takes what the one before it gives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from plimsoll.errors import TargetError
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.predictors.runner import Runner
from plimsoll.runtime.server.refusals import DeadlinePassed, Failed, NotReady, Refusal
from plimsoll.runtime.server.served import example_inputs
from plimsoll.runtime.server.service_file import Example, ModelFile
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor

Arrays = dict[str, Array]


class Pipeline:
    """A `Runner` of runners."""

    def __init__(self, file: ModelFile, threads: int, runner_of: Callable[[ModelFile, int], Runner]) -> None:
        """Start all steps. Raises PlimsollError when one does not come up or does not fit the one before it."""
        self._names = [f"step {number} ({each.name})" for number, each in enumerate(file.steps, 1)]
        self._steps: list[Runner] = []
        try:
            before: Mapping[str, Array] = {}
            for each in file.steps:
                plain = each.code is None and not each.steps
                self._steps.append(
                    OnnxStep(each, threads, before) if plain else runner_of(tried_with(each, before), threads)
                )
                before = self._steps[-1].example
            self._require_chain()
        except BaseException:  # also at Ctrl-C no process stays
            self.close()
            raise
        self.inputs = self._steps[0].inputs
        self.outputs = self._steps[-1].outputs
        self.example = self._steps[-1].example

    def _require_chain(self) -> None:
        for number in range(1, len(self._steps)):
            before, after = self._steps[number - 1], self._steps[number]
            if problem := misfit(before.outputs, after.inputs):
                raise TargetError(problem, where=self._names[number], hint="put a step between them that converts")

    @property
    def problem(self) -> str:
        """The problem of the first step that has one."""
        return next((f"{name}: {step.problem}" for name, step in self._pairs() if step.problem), "")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch over the processes of all steps."""
        for step in self._steps:
            step.attach(loop)

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever a process of any step is started again."""
        for step in self._steps:
            step.report_restarts(report)

    async def infer(self, inputs: Mapping[str, Array], limit: float) -> tuple[Arrays, int]:
        """The outputs of the last step. A refusal names the step that it comes from."""
        deadline = time.monotonic() + limit
        values, together = dict(inputs), 1
        for number, (name, step) in enumerate(self._pairs()):
            left = deadline - time.monotonic()
            try:
                given = values if number == 0 else fitted(values, step.inputs)
                values, count = await step.infer(given, left)
            except (BadTensor, Refusal, TimeoutError) as failure:
                raise _of_step(name, number, failure, limit) from failure
            together = max(together, count)
        return values, together

    def close(self) -> None:
        """End all steps."""
        for step in self._steps:
            step.close()

    def wait(self) -> None:
        """Wait until all steps have ended."""
        for step in self._steps:
            step.wait()

    def _pairs(self) -> list[tuple[str, Runner]]:
        return list(zip(self._names, self._steps, strict=False))


def _of_step(name: str, number: int, failure: Exception, limit: float) -> Exception:
    """The failure of a step as that of the pipeline: what the first step refuses is the caller's fault, no other."""
    if isinstance(failure, TimeoutError):
        return DeadlinePassed(f"{name} did not answer within the {limit:g} s of the pipeline")
    if isinstance(failure, NotReady):
        return NotReady(f"{name}: {failure}")
    if isinstance(failure, Refusal):
        return type(failure)(f"{name}: {failure}")
    return BadTensor(f"{name}: {failure}") if number == 0 else Failed(f"{name}: {failure}")


def fitted(values: Mapping[str, Array], wanted: Sequence[TensorSpec]) -> Arrays:
    """What a step takes of the outputs before it: those of its names, or the one that there is for its one input."""
    if len(values) == 1 and len(wanted) == 1:
        return {wanted[0].name: next(iter(values.values()))}
    return {spec.name: values[spec.name] for spec in wanted if spec.name in values}


def tried_with(file: ModelFile, before: Mapping[str, Array]) -> ModelFile:
    """A step that is tried with what the step before has given, unless it has a sample of its own."""
    if file.code is None or file.code.sample or not before:
        return file
    given = fitted(before, file.code.inputs)
    sample = {
        name: Example(shape=array.shape, data=tuple(map(_plain, array.ravel().tolist())))
        for name, array in given.items()
    }
    return replace(file, code=replace(file.code, sample=sample))


def _plain(value: bool | int | float | str | bytes) -> bool | int | float | str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def misfit(given: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> str:
    """Why a step cannot take what the one before it gives; empty when it can."""
    by_name = {spec.name: spec for spec in given}
    for spec in wanted:
        found = given[0] if len(given) == len(wanted) == 1 else by_name.get(spec.name)
        if found is None:
            return f"its input '{spec.name}' is not among the outputs of the step before: {', '.join(by_name)}"
        if found.datatype != spec.datatype:
            return f"its input '{spec.name}' is {spec.datatype}, and the step before gives {found.datatype}"
        fits = len(found.shape) == len(spec.shape) and all(
            -1 in (one, other) or one == other for one, other in zip(found.shape, spec.shape, strict=True)
        )
        if not fits:
            shapes = f"{list(spec.shape)}, and the step before gives {list(found.shape)}"
            return f"its input '{spec.name}' has the shape {shapes}"
    return ""


class OnnxStep:
    """An ONNX model as a step."""

    def __init__(self, file: ModelFile, threads: int, before: Mapping[str, Array]) -> None:
        """Load it, and run it once on what the step before has given. Raises PlimsollError."""
        self._model = OnnxModel(Path(file.path), file.name, threads=threads, digest=file.digest, files=file.files)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="step")
        self.inputs = self._model.spec.inputs
        self.outputs = self._model.spec.outputs
        self.problem = ""
        self.example: Mapping[str, Array] = {}
        with contextlib.suppress(BadTensor):
            self.example = self._model.run(fitted(before, self.inputs) or example_inputs(self.inputs, 1))

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing has to be watched."""

    def report_restarts(self, report: Callable[[], None]) -> None:
        """It has no process of its own."""

    async def infer(self, inputs: Mapping[str, Array], limit: float) -> tuple[Arrays, int]:
        """All outputs. Raises BadTensor, TimeoutError."""
        for spec in self.inputs:
            if spec.name in inputs:
                array = inputs[spec.name]
                self._model.check(spec.name, spec.datatype, array.shape)
        options = self._model.run_options()
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._model.run, inputs, (), options)
        try:
            async with asyncio.timeout(limit):
                return await running, 1
        except (asyncio.CancelledError, TimeoutError):
            options.terminate = True
            raise

    def close(self) -> None:
        """Let its threads end."""
        self._pool.shutdown(wait=False)

    def wait(self) -> None:
        """There is nothing to wait for."""
