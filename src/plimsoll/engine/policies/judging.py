"""Gates and rules together."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged
from plimsoll.policy.gates.table import judge
from plimsoll.policy.rego.rules import judge_rules


def judge_all(policies: Policies, facts: Facts, directory: Path, about: str) -> tuple[Judged, ...]:
    """What policies find in facts. `directory` is that of the file, `about` names what is judged.

    Raises FileError for rules that are not Rego.
    """
    found = judge(policies, facts)
    if policies.rules is None:
        return found
    return (*found, *judge_rules(directory / policies.rules, document_of(facts), about))


def document_of(facts: Facts) -> bytes:
    """The document as rules are given it."""
    return msgspec.json.encode(facts)
