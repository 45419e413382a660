"""What computes the answers of a version that is not an ONNX model by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array


class Runner(Protocol):
    """A function, a server or a pipeline, which is up when it is made and starts again by itself what has ended."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example: Mapping[str, Array]
    """Outputs that it has given once, for what comes after it in a pipeline; empty without any."""

    @property
    def problem(self) -> str:
        """Why it cannot answer at present; empty when it can."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called in the event loop before the first call."""

    def report_restarts(self, report: Callable[[], None]) -> None:
        """Have `report` called whenever a process is started again."""

    async def infer(self, inputs: Mapping[str, Array], limit: float) -> tuple[dict[str, Array], int]:
        """All outputs for inputs of the right names and types, and how many calls were computed together.

        Raises BadTensor, Failed, NotReady, DeadlinePassed or TimeoutError after `limit` seconds.
        """

    def close(self) -> None:
        """Have all processes end, without a wait; in any thread."""

    def wait(self) -> None:
        """Wait, after `close`, until all processes have ended; a few seconds at most."""
