"""What observers make once for a version, such as the trees of its model: in the background, whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from plimsoll.runtime.server.observers import Observer, Observers
from plimsoll.runtime.server.refusals import NotReady
from plimsoll.runtime.server.served import Served

AGAIN = 5
"""Seconds after which a client may ask again for what is still being made."""


class Preparing:
    """One thread, so that a large model delays the preparation of others and no request that needs none."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preparing")
        self._made: WeakKeyDictionary[Served, dict[Observer, asyncio.Future[None]]] = WeakKeyDictionary()

    async def done(self, served: Served, parameters: Mapping[str, object], left: float) -> None:
        """Return when all is made that a request with these parameters needs. What has failed is tried again.

        Raises NotReady after `left` seconds, while the making goes on, and BadTensor when it cannot be made.
        """
        for observer in self._observers.watching:
            if observer.needs(parameters):
                future = self._begun(served, observer)
                await asyncio.wait({future}, timeout=max(0.0, left))
                if not future.done():
                    reason = f"what the request asks for beside the outputs of '{served.name}' is being prepared"
                    raise NotReady(reason, retry_after=AGAIN)
                future.result()

    def _begun(self, served: Served, observer: Observer) -> asyncio.Future[None]:
        made = self._made.setdefault(served, {})
        future = made.get(observer)
        if future is None or (future.done() and (future.cancelled() or future.exception() is not None)):
            future = asyncio.get_running_loop().run_in_executor(self._pool, observer.prepare, served.model)
            # Nobody may wait any more when it fails.
            future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            made[observer] = future
        return future
