"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from plimsoll import __version__
from plimsoll.submission.finding import Finding
from plimsoll.submission.rules import NOT_YAML, RULES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One run with every rule and every finding."""
    described = [
        (NOT_YAML, "error", "What cannot be read cannot be judged."),
        *((r.id, r.severity.value, r.summary) for r in RULES),
    ]
    places = {name: place for place, (name, _, _) in enumerate(described)}
    rules = [
        {"id": name, "shortDescription": {"text": summary}, "defaultConfiguration": {"level": severity}}
        for name, severity, summary in described
    ]
    driver = {"name": "plimsoll lint", "version": __version__, "rules": rules}
    results = [_result(each, places[each.rule]) for each in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(finding: Finding, place: int) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    artifact = {"uri": quote(PurePath(finding.file).as_posix())}
    # The same finding keeps its mark when lines move, so that a host does not report it anew.
    mark = hashlib.sha256(f"{finding.file}|{finding.rule}|{finding.requirement}|{finding.why}".encode()).hexdigest()
    return {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": finding.severity.value,
        "message": {"text": f"{finding.why}. {finding.fix[:1].upper()}{finding.fix[1:]}."},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"plimsoll/v1": mark[:32]},
    }
