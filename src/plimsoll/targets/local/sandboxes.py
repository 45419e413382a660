"""The sandbox that the steps of a run share which ask for none of their own: it costs once what it takes to make."""

from __future__ import annotations

import threading
from collections.abc import Callable

from plimsoll.runtime.isolation.view import View
from plimsoll.targets.local.sandbox import Sandbox


class Sandboxes:
    """At most one sandbox with its view, made when it is first needed, and again when it has ended. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: tuple[Sandbox, View] | None = None

    def shared(self, make: Callable[[], tuple[Sandbox, View]]) -> tuple[Sandbox, View]:
        """The sandbox that is there, or a new one."""
        with self._lock:
            if self._shared is None or self._shared[0].is_over:
                self._shared = make()
            return self._shared

    def close(self) -> None:
        """End it, and all that runs in it."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared[0].close()
