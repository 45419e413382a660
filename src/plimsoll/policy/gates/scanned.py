"""The files of versions hold only data: loading them would run nothing."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged

GATE = "scanned"


def scanned(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge the files of each version."""
    if GATE not in policies.chain.require:
        return
    for model in facts.models:
        bad = [each for each in model.files or () if each.verdict != "clean"]
        for file in bad:
            yield Judged(
                gate=GATE,
                about=f"{file.path} of {model.reference}",
                verdict="broken" if file.verdict == "unsafe" else "unknown",
                reason="; ".join(file.reasons) or f"it is {file.verdict}",
                remedy=f"bring it in a format that holds only data, such as ONNX; plimsoll scan {model.reference}",
                where=model.place,
            )
        if model.files is None:
            yield Judged(
                gate=GATE,
                about=model.reference,
                verdict="unknown",
                reason=model.signature or "its files were not scanned",
                remedy=f"plimsoll scan {model.reference} says why",
                where=model.place,
            )
        elif not bad:
            reason = f"{len(model.files)} files hold only data"
            yield Judged(gate=GATE, about=model.reference, verdict="passed", reason=reason)
