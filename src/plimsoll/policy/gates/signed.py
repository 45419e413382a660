"""Versions and bundles are signed by a key that is trusted here."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged

GATE = "signed"
_REMEDY = "train or pull it again, or trust the key of whoever has signed it: see keys in docs/models.md"


def signed(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each version and each bundle."""
    if GATE not in policies.chain.require:
        return
    for model in facts.models:
        if model.signed_by:
            yield Judged(gate=GATE, about=model.reference, verdict="passed", reason=f"key {model.signed_by[:16]}")
        else:
            yield Judged(
                gate=GATE,
                about=model.reference,
                verdict="broken",
                reason=model.signature or "no trusted key has signed it",
                remedy=_REMEDY,
                where=model.place,
            )
    for bundle in facts.bundles:
        problems = bundle.problems or (() if bundle.signed_by else ("no trusted key has signed it",))
        verdict = Judged(gate=GATE, about=bundle.path, verdict="passed", reason=f"key {bundle.signed_by[:16]}")
        if problems:
            verdict = Judged(
                gate=GATE,
                about=bundle.path,
                verdict="broken",
                reason="; ".join(problems[:5]),
                remedy="take the bundle as it was sealed, or check the cluster again: plimsoll check",
                where=bundle.path,
            )
        yield verdict
