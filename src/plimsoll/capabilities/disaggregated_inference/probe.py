"""Who declares roles of model servers."""

from __future__ import annotations

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, unknown

# API groups of stacks that know the two roles.
_STACKS = {
    "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    "serving.kserve.io": "KServe",
    "nvidia.com": "Dynamo",
    "llm-d.ai": "llm-d",
    "orchestration.aibrix.ai": "AIBrix",
}


def obstacle(facts: ClusterFacts) -> Verdict:
    """Says which stack could do it, if any."""
    found = [name for group, name in _STACKS.items() if facts.serves(group)]
    if found:
        return unknown(
            f"{', '.join(found)} can be asked for it, but no model server is brought along to try it with",
            "show by hand that one request's id is in the logs of both parts, and that state passes between them",
        )
    return unknown(
        f"no stack that knows the two roles is served ({', '.join(_STACKS.values())})",
        "install one, and show by hand that one request's id is in the logs of both parts",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Nothing is made: `obstacle` always decides."""
