"""What no cluster has of the features that parts ask for, and why."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.kinds.serve import KNOWS_CALLERS, SAMPLES_EXPLANATIONS, SCALE_TO_ZERO, WAITING_ROLLOUT


def lacks(never_zero: str) -> Mapping[str, str]:
    """The reason by feature; `never_zero` is why services keep a server on this cluster, empty where they need none."""
    found = {
        WAITING_ROLLOUT: "a run there moves a service to the version that it has registered",
        SAMPLES_EXPLANATIONS: "its servers are given a model and no table to compare with",
        KNOWS_CALLERS: "its network policies say who reaches a server",
    }
    return found | ({SCALE_TO_ZERO: never_zero} if never_zero else {})
