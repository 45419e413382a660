"""Brought models are from a source that the file allows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.application.policies import CHAIN, Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged

GATE = "origins"


def origins(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge the sources that the file names, and those that versions have recorded."""
    allowed = policies.chain.origins
    if not allowed:
        return
    named = [(f"models.{each.model}", each.source, each.place) for each in facts.sources]
    named += [(each.reference, each.origin.source, each.place) for each in facts.models if each.origin is not None]
    for about, source, where in named:
        if any(matches(pattern, source) for pattern in allowed):
            yield Judged(gate=GATE, about=about, verdict="passed", reason=source)
        else:
            yield Judged(
                gate=GATE,
                about=about,
                verdict="broken",
                reason=f"it is from {source}; allowed are {', '.join(allowed)}",
                remedy=f"bring it from an allowed source, or add a pattern to {'.'.join(CHAIN[1:])}.origins",
                where=where,
            )


def matches(pattern: str, source: str) -> bool:
    """Whether a source is one of a pattern, in which `*` is any text; a `..` in a path would lead out of it."""
    if ".." in re.split(r"[/\\]", source):
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), source, re.DOTALL) is not None
