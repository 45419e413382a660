"""A thread beside the event loop, for steps of a request that take more than a millisecond and are no inference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from plimsoll.runtime.server.refusals import Busy

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Beside:
    """One thread and the steps that wait for it. One, as threads of Python take turns on one core."""

    def __init__(self, name: str, most: int) -> None:
        """`most` is how many steps may wait."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._most = most
        self._waiting = 0

    async def run(
        self, limit: float, step: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """The result of `step`, in the thread. Raises what it raises, Busy, and TimeoutError after `limit` seconds.

        A step that has not begun by then never begins; one that has begun has to look at its own time limit.
        """
        if self._waiting >= self._most:
            raise Busy(f"{self._waiting} long requests are waiting to be read or written", retry_after=1)
        self._waiting += 1
        try:
            async with asyncio.timeout(limit):
                return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: step(*args, **kwargs))
        finally:
            self._waiting -= 1
