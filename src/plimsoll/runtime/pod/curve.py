"""The curve of a training over all of its attempts, kept in the registry as checkpoints are, also while it trains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.state.curves import FILE, Row, joined, read_rows, write_rows

SOON = 2.0
"""Seconds between two pushes of a training that has just begun."""
SHARE = 0.05
"""Pushes are as far apart as this share of the time so far: each of them leaves a part in the registry."""
MOST_BYTES = 16 << 20
"""A larger file is pushed with checkpoints and at the end alone."""


class PodCurve:
    """The points of earlier attempts in `directory`, and those of this one in `output`."""

    def __init__(
        self, repository: Repository, tag: str, directory: Path, output: Path, log: Callable[[str], None]
    ) -> None:
        self._repository = repository
        self._tag = tag
        self._directory = directory
        self._output = output
        self._log = log
        self._earlier: list[Row] = []
        self._pushed: list[Row] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="curve")

    def restore(self) -> None:
        """Pull the points of earlier attempts. A curve is worth no failure: what cannot be pulled is told."""
        try:
            artifacts.pull(self._repository, self._tag, self._directory)
        except PlimsollError as error:
            self._log(f"cannot restore the curve of earlier attempts: {error}")
        self._earlier = self._pushed = read_rows(self._directory / FILE)

    def start(self) -> None:
        """Push from time to time, for those who look at a training while it goes on."""
        self._thread.start()

    def close(self) -> None:
        """Push what there is at the end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.push()

    def push(self) -> None:
        """Push the points of all attempts so far, if there are new ones. Safe from any thread."""
        with self._lock:
            rows = joined(self._earlier, read_rows(self._output / FILE))
            if rows == self._pushed:
                return
            try:
                write_rows(self._directory / FILE, rows)
                artifacts.push(self._repository, self._tag, {FILE: self._directory / FILE}, {})
            except (PlimsollError, OSError) as error:
                self._log(f"cannot upload the curve for now: {error}")
            else:
                self._pushed = rows

    def _watch(self) -> None:
        began, seen = time.monotonic(), 0
        while not self._stopping.wait(max(SOON, SHARE * (time.monotonic() - began))):
            try:
                size = (self._output / FILE).stat().st_size
            except OSError:
                continue
            if seen < size <= MOST_BYTES:
                seen = size
                self.push()
