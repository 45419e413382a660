"""The user's own code called without a server, one call after another: for what reads a whole table through it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType

from plimsoll.runtime.server.predictors.start import runner_of
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array, BadTensor

LIMIT = 120.0
"""Seconds for one call: with thousands of rows."""


class DirectCalls:
    """The code of a version, started; a context that ends it."""

    def __init__(self, file: ModelFile) -> None:
        """Start it. Raises PlimsollError."""
        self._runner = runner_of(file, 1)
        self._loop = asyncio.new_event_loop()
        self._runner.attach(self._loop)
        self.spec = ModelSpec(name=file.name, inputs=self._runner.inputs, outputs=self._runner.outputs)

    def __enter__(self) -> DirectCalls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.close()
        self._runner.close()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises BadTensor for whatever keeps it from answering."""
        try:
            outputs, _ = self._loop.run_until_complete(self._runner.infer(inputs, LIMIT))
        except (Refusal, TimeoutError) as failure:
            raise BadTensor(str(failure) or f"no answer within {LIMIT:g} s") from failure
        return outputs
