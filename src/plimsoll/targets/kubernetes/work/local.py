"""Work that is done on this machine although the rest runs on a cluster: it needs the user's own key or interpreter."""

from __future__ import annotations

import threading

from plimsoll.targets.kubernetes.context import Attempt, Progress
from plimsoll.targets.local.attempt import Outcome


def done_here(attempt: Attempt) -> Progress:
    """Have the local target do the step; its last observation becomes the outcome."""
    local = attempt.context.local
    handle = local.start(attempt.step, attempt.number)

    def hand_on() -> None:
        attempt.stopping.wait()
        local.stop(handle)

    threading.Thread(target=hand_on, daemon=True).start()
    for seen in local.observe(handle):
        if seen.event != "attempt-ended":
            yield seen
    fact = seen.fact
    return Outcome(
        state=fact["outcome"], reason=fact["reason"], result=dict(fact["result"]), lasting=bool(fact.get("lasting"))
    )
