"""The curve of a training over all of its attempts, kept in the registry as checkpoints are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts
from plimsoll.state.curves import FILE, Row, joined, read_rows, write_rows


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

    def restore(self) -> None:
        """Pull the points of earlier attempts. A curve is worth no failure: what cannot be pulled is told."""
        try:
            artifacts.pull(self._repository, self._tag, self._directory)
        except PlimsollError as error:
            self._log(f"cannot restore the curve of earlier attempts: {error}")
        self._earlier = self._pushed = read_rows(self._directory / FILE)

    def push(self) -> None:
        """Push the points of all attempts so far, if there are new ones."""
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
