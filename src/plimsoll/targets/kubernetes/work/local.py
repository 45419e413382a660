"""Work that is done on this machine although the rest runs on a cluster: it needs the user's own key or interpreter."""

from __future__ import annotations

import threading

from plimsoll.targets.attempt import Progress, W
from plimsoll.targets.kubernetes.attempt import ClusterAttempt


def done_here(attempt: ClusterAttempt[W]) -> Progress:
    """Have this machine do the step."""
    inner = attempt.context.local.start(attempt.step, attempt.number)

    def hand_on() -> None:
        attempt.stopping.wait()
        inner.stop()

    threading.Thread(target=hand_on, daemon=True).start()
    return (yield from inner.outcome())
