"""What no cluster has of the features that parts ask for, and why."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.kinds.failover import FAILOVER
from plimsoll.kinds.screen import SCREENS_ROWS
from plimsoll.kinds.serve import CALLERS_IN_PLACE, OWN_FRONT, SAMPLES_EXPLANATIONS, SCALE_TO_ZERO, WAITING_ROLLOUT


def lacks(never_zero: str, traffic: str = "gateway") -> Mapping[str, str]:
    """The reason by feature; `never_zero` is why services keep a server on this cluster, empty where they need none.

    `traffic` is what carries traffic there.
    """
    found = {
        WAITING_ROLLOUT: "a run there moves a service to the version that it has registered",
        OWN_FRONT: "what stands before a service there encrypts, and knows its names",
        CALLERS_IN_PLACE: "the files by which callers are known travel there as a Secret",
        SAMPLES_EXPLANATIONS: "its servers are given a model and no table to compare with",
        SCREENS_ROWS: "rows are screened on the machine that runs plimsoll",
    }
    if traffic != "gateway":
        found[FAILOVER] = "it has no gateway by Gateway API, or another provider of traffic is preferred"
    return found | ({SCALE_TO_ZERO: never_zero} if never_zero else {})
