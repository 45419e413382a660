"""How much of the disk an application takes on this machine, by what it is for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from plimsoll.state.sizes import size_of, sizes_of_entries
from plimsoll.targets.features import LEAVINGS
from plimsoll.targets.port import Target


def sizes(target: Target) -> Mapping[str, int]:
    """Bytes of results, checkpoints, environments, the registry, logs with journals and reports, and drift data."""
    state = target.state
    cache = state.root / "sizes"
    with contextlib.suppress(OSError):
        # Where it cannot be made, everything is counted each time.
        cache.mkdir(exist_ok=True)
    outside = target.features.require(LEAVINGS).sizes() if LEAVINGS in target.features else {}
    return {
        "results": sizes_of_entries(state.results, cache / "results.json"),
        "checkpoints": size_of(state.checkpoints),
        **outside,
        "registry": size_of(state.registry),
        "logs": sizes_of_entries(state.runs, cache / "runs.json") + size_of(state.service_logs),
        "drift": size_of(state.drift),
    }
