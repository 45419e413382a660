"""What pods print, written to the run's log files as it comes, where `plimsoll logs` finds it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from plimsoll.kubernetes.api import ApiError
from plimsoll.state.logs import last_log_line
from plimsoll.targets.kubernetes.log_lines import Lines

if TYPE_CHECKING:
    from plimsoll.targets.attempt import W
    from plimsoll.targets.kubernetes.attempt import ClusterAttempt

_AGAIN = 1.0
_SOON = 0.1
FINISH_LIMIT = 5.0
"""Seconds for the end of a log to come, once its container has ended or is to end."""


FOLLOWED = 64
"""Workers of a gang whose output is followed as it comes; of the others it is read when they have failed."""


class Follower:
    """Follows one pod's container on a thread. A broken link is taken up where it broke: see `log_lines`.

    A thread and a connection for each of thousands of workers would be too many: see `FOLLOWED`.
    """

    def __init__(self, attempt: ClusterAttempt[W], pod: str, container: str, rank: int, number: int) -> None:
        self._api = attempt.context.api
        self._namespace = attempt.context.namespace
        self._pod = pod
        self._container = container
        workers = attempt.step.workers
        # A gang that was started anew has pods with the same ranks again.
        again = (number - 1) // max(1, workers)
        self.path = attempt.log(f"{rank}" if not again else f"{rank}.{again}")
        self._lines = Lines()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"logs-{pod}")
        self._late = rank >= FOLLOWED
        if not self._late:
            self._thread.start()

    def finish(self, limit: float = FINISH_LIMIT) -> None:
        """Have all that the container printed, once it has ended; no longer than `limit` seconds are waited for it."""
        self._over.set()
        if not self._late:
            self._thread.join(limit)

    def last_words(self) -> str:
        """The last line that it printed."""
        if self._late:
            self._late = False
            self._thread.start()
            self._thread.join(FINISH_LIMIT)
        return last_log_line(self.path)

    def _follow(self) -> None:
        until = 0.0
        while True:
            last = self._over.is_set()
            broken = False
            try:
                self._read_once(last=last)
                # The kubelet failed in the middle of a log, and says so in its place.
                broken = bool(self._lines.remnant)
            except ApiError as error:
                if error.status == 404:
                    return
                broken = error.status >= 500
            except Exception:  # noqa: BLE001  # of the HTTP library: a log's link broke, and is taken up again
                broken = True
            if last:
                until = until or time.monotonic() + FINISH_LIMIT
                if not broken or time.monotonic() > until:
                    return
                time.sleep(_SOON)
            else:
                self._over.wait(_AGAIN)

    def _read_once(self, *, last: bool) -> None:
        """What the container prints until the link ends; of one that has ended all that is left, without waiting."""
        self._lines.begin()
        link = self._api.follow_logs(
            self._pod, self._namespace, self._container, since=self._lines.since, times=True, follow=not last
        )
        with link as pieces, self.path.open("ab") as file:
            for piece in pieces:
                if fresh := self._lines.fresh(piece):
                    file.write(fresh)
                    file.flush()
            if last:
                file.write(self._lines.finish())
