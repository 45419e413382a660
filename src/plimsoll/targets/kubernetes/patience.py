"""How long causes may last before they are given up."""

from __future__ import annotations

import time
from collections.abc import Iterable

from plimsoll.targets.kubernetes.reasons.cause import Cause


class Patience:
    """Remembers since when each cause lasts, by its object and its kind: its words may change meanwhile."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def exhausted(self, causes: Iterable[tuple[str, Cause]]) -> Cause | None:
        """The first cause that has lasted for longer than it may; those that are not among them are over."""
        now = time.monotonic()
        present: dict[tuple[str, str], float] = {}
        over: Cause | None = None
        for name, cause in causes:
            since = present[name, cause.kind] = self._since.get((name, cause.kind), now)
            if over is None and cause.patience is not None and now - since >= cause.patience:
                over = cause
        self._since = present
        return over
