"""Facts for tests of policies: a version that passes every gate, and what makes it fail one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.application.policies import Policies, SupplyChain
from plimsoll.policy.facts import Facts, FileFacts, ModelFacts, OriginFacts
from plimsoll.policy.findings import Judged
from plimsoll.policy.gates.table import judge

DATA = {"rows.csv": "a" * 64}
PROVENANCE: dict[str, Any] = {
    "buildDefinition": {"resolvedDependencies": [{"name": "rows.csv"}, {"name": "train.py"}]},
    "runDetails": {"metadata": {"invocationId": "run-1"}, "builder": {"id": "https://builder.example"}},
}
SBOM: dict[str, Any] = {
    "metadata": {"component": {"name": "triage", "version": "2"}},
    "components": [{"name": "rows.csv"}, {"name": "train.py"}, {"name": "model.onnx"}],
}


def model(**changes: Any) -> ModelFacts:
    """A version that passes every gate, but for what is changed."""
    values: dict[str, Any] = {
        "reference": "triage@2",
        "name": "triage",
        "version": 2,
        "digest": "sha256:" + "b" * 64,
        "created": "2026-01-01T00:00:00Z",
        "author": "ada",
        "framework": "none",
        "accepted": True,
        "place": "plimsoll.yaml:9:5",
        "run": "run-1",
        "data": DATA,
        "code": {"train.py": "c" * 64},
        "signed_by": "d" * 64,
        "provenance": PROVENANCE,
        "sbom": SBOM,
        "files": (FileFacts(path="model.onnx", verdict="clean"),),
    }
    return ModelFacts(**{**values, **changes})


def brought(source: str, licence: str) -> ModelFacts:
    """A version that was brought."""
    return model(origin=OriginFacts(source=source, licence=licence))


def judged(chain: SupplyChain, facts: Facts) -> tuple[Judged, ...]:
    """What the gates find."""
    return judge(Policies(supply_chain=chain), facts)


def verdicts(found: Sequence[Judged]) -> list[tuple[str, str]]:
    """Gate and verdict of each finding."""
    return [(each.gate, each.verdict) for each in found]
