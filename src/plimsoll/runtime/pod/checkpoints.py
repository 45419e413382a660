"""Keeps what rank 0 writes to PLIMSOLL_CHECKPOINT in the registry, so that it outlives pod and node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts

LOOK = 1.0
"""Seconds between two looks. A file counts once it is the same in two of them: scripts may write without a rename."""
State = tuple[tuple[str, int, int], ...]
Say = Callable[[str], None]


class Keeper:
    """A thread that pushes the directory whenever it has changed. That it cannot push does not end the training."""

    def __init__(self, repository: Repository, tag: str, directory: Path, say: Say) -> None:
        self._repository = repository
        self._tag = tag
        self._directory = directory
        self._say = say
        self._over = threading.Event()
        self._kept: State = ()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="checkpoints")

    def restore(self) -> int:
        """Bring back what an earlier attempt kept; gives the number of files."""
        self._directory.mkdir(parents=True, exist_ok=True)
        artifacts.pull(self._repository, self._tag, self._directory)
        self._kept = self._state()
        return len(self._kept)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Keep the last state too."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._keep(self._state())

    def _watch(self) -> None:
        seen = self._state()
        while not self._over.wait(LOOK):
            now = self._state()
            if now == seen:
                self._keep(now)
            seen = now

    def _keep(self, state: State) -> None:
        if state == self._kept:
            return
        try:
            artifacts.push(self._repository, self._tag, self._files(), {})
        except (PlimsollError, OSError) as error:
            # A file may have gone between look and push; the next look finds what is there then.
            self._say(f"checkpoints are not kept for now: {error}")
        else:
            self._kept = state

    def _files(self) -> Mapping[str, Path]:
        return artifacts.files_below(self._directory, hidden=False)

    def _state(self) -> State:
        found = []
        for name, path in self._files().items():
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((name, stat.st_size, stat.st_mtime_ns))
        return tuple(found)
