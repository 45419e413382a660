"""The load line in the terminal: each requirement with verdict and figure, or with cause and remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from plimsoll.capabilities.checking import Judged
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.evidence.verdict import Outcome

_SIGNS = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.NOT_IMPLEMENTED: "○",
    Outcome.NOT_APPLICABLE: "–",
    Outcome.SKIPPED: "·",
    Outcome.UNKNOWN: "?",
    Outcome.ENVIRONMENT_ERROR: "!",
}

_PROJECTS = {
    "kueue.x-k8s.io": "Kueue",
    "jobset.x-k8s.io": "JobSet",
    "trainer.kubeflow.org": "Kubeflow Trainer",
    "ray.io": "KubeRay",
    "serving.kserve.io": "KServe",
    "scheduling.volcano.sh": "Volcano",
    "karpenter.sh": "Karpenter",
    "keda.sh": "KEDA",
    "monitoring.coreos.com": "Prometheus operator",
    "custom.metrics.k8s.io": "custom metrics",
}


def load_line(judged: Sequence[Judged], columns: int) -> str:
    """One block per requirement, MUSTs first, and a count of all outcomes."""
    width = max(len(each.requirement) for each in judged)
    lines = []
    for each in sorted(judged, key=lambda one: one.level):
        verdict = each.verdict
        head = f"{_SIGNS[verdict.outcome]} {each.level:<6} {each.requirement:<{width}}  {verdict.outcome.value}"
        lines.append(f"{head}  {verdict.figure}" if verdict.figure else head)
        if verdict.outcome is not Outcome.PASS:
            for word, text in (("cause", verdict.cause), ("remedy", verdict.remedy)):
                if text:
                    lines += textwrap.wrap(
                        f"{word}: {text}", columns, initial_indent=" " * 9, subsequent_indent=" " * 11
                    )
    return "\n".join([*lines, count_outcomes(judged)])


def count_outcomes(judged: Sequence[Judged]) -> str:
    """The number of each outcome, by level."""
    parts = []
    for level in ("MUST", "SHOULD"):
        of_level = [each.verdict.outcome for each in judged if each.level == level]
        counts = [f"{of_level.count(outcome)} {outcome.value}" for outcome in Outcome if outcome in of_level]
        if counts:
            parts.append(f"{level}: {', '.join(counts)}")
    return " · ".join(parts)


def inventory_lines(facts: ClusterFacts) -> list[str]:
    """What the cluster has, in a few lines."""
    ready = len([node for node in facts.nodes if node.ready])
    lines = [f"Kubernetes {facts.version}, {ready} of {len(facts.nodes)} nodes ready"]
    for each in facts.accelerators:
        kind = each.hardware.name if each.hardware else "unknown hardware"
        lines.append(f"accelerators  {each.count} on {each.node} by {each.resource or each.driver} ({kind})")
    for word, found in (
        ("gateways", [each.name for each in facts.gateway_classes]),
        ("sandboxes", [each.name for each in facts.runtime_classes]),
        ("node pools", [each.name for each in facts.node_pools]),
        ("not readable", facts.unreadable),
    ):
        if found:
            lines.append(f"{word:<13} {', '.join(found)}")
    installed = [name for group, name in _PROJECTS.items() if facts.serves(group)]
    return [*lines, f"installed     {', '.join(installed) or 'no known components'}"]
