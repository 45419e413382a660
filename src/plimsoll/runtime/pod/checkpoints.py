"""Upload the files that rank 0 writes to PLIMSOLL_CHECKPOINT, so that they outlive pod and node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.registry.repository import Repository
from plimsoll.runtime import artifacts

SCAN_INTERVAL = 1.0
"""Seconds between two scans. Files are uploaded once two scans agree, because scripts may write without a rename."""
PATIENCE = 5
"""Scans in a row that differ, after which a short calm is enough: some trainings write more often than we scan."""
CALM = 0.1
"""Seconds for which nothing changes between two writes of such a training."""
DirectorySnapshot = tuple[tuple[str, int, int], ...]
Log = Callable[[str], None]


class CheckpointUploader:
    """A thread that pushes the directory after each change. Training continues when a push fails.

    `then` is called after each push: what belongs to a checkpoint is pushed with it.
    """

    def __init__(
        self, repository: Repository, tag: str, directory: Path, log: Log, then: Callable[[], None] = lambda: None
    ) -> None:
        self._repository = repository
        self._tag = tag
        self._directory = directory
        self._log = log
        self._then = then
        self._stopping = threading.Event()
        self._uploaded: DirectorySnapshot = ()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="checkpoints")

    def restore(self) -> int:
        """Pull the checkpoints of an earlier attempt. Returns the number of files."""
        self._directory.mkdir(parents=True, exist_ok=True)
        artifacts.pull(self._repository, self._tag, self._directory)
        self._uploaded = self._snapshot()
        return len(self._uploaded)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and upload the last changes."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._upload(self._snapshot())

    def _watch(self) -> None:
        seen, differed = self._snapshot(), 0
        while not self._stopping.wait(SCAN_INTERVAL):
            now = self._snapshot()
            if now != seen:
                differed += 1
            if now == seen or (differed > PATIENCE and self._is_calm(now)):
                self._upload(now)
            if self._uploaded == now:
                differed = 0
            seen = now

    def _is_calm(self, snapshot: DirectorySnapshot) -> bool:
        return not self._stopping.wait(CALM) and self._snapshot() == snapshot

    def _upload(self, snapshot: DirectorySnapshot) -> None:
        if snapshot == self._uploaded:
            return
        try:
            artifacts.push(self._repository, self._tag, self._files(), {})
        except (PlimsollError, OSError) as error:
            # A file may have been removed between scan and push. The next scan tries again.
            self._log(f"cannot upload checkpoints for now: {error}")
        else:
            self._uploaded = snapshot
            self._then()

    def _files(self) -> Mapping[str, Path]:
        return artifacts.files_below(self._directory, hidden=False)

    def _snapshot(self) -> DirectorySnapshot:
        found = []
        for name, path in self._files().items():
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((name, stat.st_size, stat.st_mtime_ns))
        return tuple(found)
