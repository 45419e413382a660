"""Versions have provenance, signed by a trusted key, that covers what their lineage says they were made of."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts, ModelFacts
from plimsoll.policy.findings import Judged

GATE = "provenance"
_REMEDY = "register it again: plimsoll run --force register/{name} attaches the statements that it lacks"


def provenance(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each version."""
    if GATE not in policies.chain.require:
        return
    for model in facts.models:
        problem = model.provenance_problem or _problem(model)
        if problem:
            yield Judged(
                gate=GATE,
                about=model.reference,
                verdict="broken",
                reason=problem,
                remedy=_REMEDY.format(name=model.name),
                where=model.place,
            )
        else:
            yield Judged(gate=GATE, about=model.reference, verdict="passed", reason="SLSA v1, by a trusted key")


def _problem(model: ModelFacts) -> str:
    """What its provenance lacks of the lineage that was signed with the version."""
    if model.provenance is None:
        return "it has no provenance"
    try:
        definition = model.provenance["buildDefinition"]
        named = {str(each["name"]) for each in definition["resolvedDependencies"]}
        run = str(model.provenance["runDetails"]["metadata"]["invocationId"])
        builder = str(model.provenance["runDetails"]["builder"]["id"])
    except (KeyError, TypeError):
        return "its provenance is not of SLSA v1"
    if not builder:
        return "its provenance names no builder"
    if run != model.run:
        return f"its provenance is of run {run or 'none'}, and the version of run {model.run}"
    missing = [name for name in (*model.data, *model.code) if name not in named]
    return f"its provenance does not name {', '.join(missing[:5])}" if missing else ""
