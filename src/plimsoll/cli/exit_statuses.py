"""The exit statuses of `status`, `attach` and `up`, which follow the state that they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DONE, FAILED = 0, 1
SERVICE_DOWN = 6
NOT_KNOWN = 3
"""Of `scan`: nothing was found, and of something it is not known what it is."""
BY_STATE: Mapping[str, int] = MappingProxyType(
    {"done": DONE, "failed": FAILED, "running": 3, "stopped": 4, "killed": 5}
)
"""By the state of a run. 2 is for wrong usage, as everywhere."""


def exit_status(state: str | None, *, services_down: bool) -> int:
    """Of a run's state (`None` without a run) and services that should be up and are not, which matter most."""
    if services_down:
        return SERVICE_DOWN
    return BY_STATE.get(state, FAILED) if state is not None else DONE
