"""Processes that outlive whoever starts them and its terminal: in a session of their own, with a log for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class DetachedProcess:
    """A process that nobody need wait for."""

    def __init__(self, argv: Sequence[str], log: Path, directory: Path | None = None) -> None:
        """Start it; what it prints is appended to the log. `directory` is by default the present one."""
        # Starting Python for most commands must not pay for it.
        import subprocess

        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self.pid = self._process.pid

    def ended(self) -> int | None:
        """Its exit status; `None` while it lives."""
        return self._process.poll()

    def let_go(self) -> None:
        """Leave it to itself: it is not waited for when this process ends."""
        if self._process.returncode is None:
            self._process.returncode = 0
