"""One reason, with how long it may still pass by itself."""

from __future__ import annotations

from msgspec import Struct

AT_ONCE = 0.0
"""Nothing but a change by somebody helps."""
MOMENT = 15.0
"""Seconds for what a cluster settles by itself: a new namespace's account, or what a server has in its cache."""
PULL_LIMIT = 120.0
"""Seconds for which an image may fail to be pulled: registries have bad moments, wrong names do not pass."""
STUCK_LIMIT = 300.0
"""Seconds for volumes and sandboxes of a node: a volume leaves a dead node only after minutes."""


class Cause(Struct, frozen=True, kw_only=True):
    """Why something does not go on, in one sentence that names the object, the cause and the remedy.

    `patience` is in seconds; `None` waits as long as it takes, as for room in a cluster. `kind` tells causes apart
    whose words change while they last. A `lasting` cause would meet the next attempt too.
    """

    kind: str
    text: str
    patience: float | None = None
    lasting: bool = False
