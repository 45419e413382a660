"""Brought models have a licence that the file allows."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.licences import is_allowed, spdx_name
from plimsoll.application.policies import CHAIN, Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged

GATE = "licences"


def licences(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge the licence that the file declares, and that of each version that was brought."""
    allowed = policies.chain.licences
    if not allowed:
        return
    registered = {model.name for model in facts.models if model.origin is not None}
    for source in facts.sources:
        if source.licence:
            yield _judged(f"models.{source.model}", source.licence, "", allowed, source.place)
        elif source.model not in registered:
            about, reason = f"models.{source.model}", f"judged after bring/{source.model}, which finds its licence"
            yield Judged(gate=GATE, about=about, verdict="later", reason=reason, where=source.place)
    for model in facts.models:
        if model.origin is not None:
            yield _judged(model.reference, model.origin.licence, model.origin.licence_from, allowed, model.place)


def _judged(about: str, licence: str, said_by: str, allowed: tuple[str, ...], where: str) -> Judged:
    says = f", says {said_by}" if said_by else ""
    if not licence:
        remedy = "find its licence out, and declare it: `licence` of the model"
        return Judged(
            gate=GATE, about=about, verdict="unknown", reason="its licence is not known", remedy=remedy, where=where
        )
    if is_allowed(spdx_name(licence), allowed):
        return Judged(gate=GATE, about=about, verdict="passed", reason=f"{licence}{says}")
    return Judged(
        gate=GATE,
        about=about,
        verdict="broken",
        reason=f"its licence is {licence}{says}; allowed are {', '.join(allowed)}",
        remedy=f"bring another model, or allow the licence in {'.'.join(CHAIN[1:])}.licences",
        where=where,
    )
