"""Looks for stacks that know the roles prefill and decode."""

from __future__ import annotations

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, unknown

# API groups of these stacks.
_STACKS = {
    "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    "serving.kserve.io": "KServe",
    "nvidia.com": "Dynamo",
    "llm-d.ai": "llm-d",
    "orchestration.aibrix.ai": "AIBrix",
}


def obstacle(facts: ClusterFacts) -> Verdict:
    """Names the stacks that the cluster has, if any."""
    found = [name for group, name in _STACKS.items() if facts.serves(group)]
    if found:
        return unknown(
            f"the cluster has {', '.join(found)}, but plimsoll has no model server to test it with",
            "show by hand that the id of one request is in the logs of both parts, and that state passes between them",
        )
    return unknown(
        f"the cluster serves no stack that knows the two roles ({', '.join(_STACKS.values())})",
        "install one, and show by hand that the id of one request is in the logs of both parts",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Creates nothing: `obstacle` always decides."""
