"""Converts findings to SARIF 2.1.0 (OASIS), which code hosts show beside the lines. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

from plimsoll import __version__
from plimsoll.submission.finding import LintFinding
from plimsoll.submission.rules import NOT_YAML, RULES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(findings: Sequence[LintFinding]) -> dict[str, object]:
    """A SARIF log with one run: every rule and every finding."""
    described = [
        (NOT_YAML, "error", "The file must be readable as YAML."),
        *((rule.id, rule.severity.value, rule.summary) for rule in RULES),
    ]
    indexes = {name: index for index, (name, _, _) in enumerate(described)}
    rules = [
        {"id": name, "shortDescription": {"text": summary}, "defaultConfiguration": {"level": severity}}
        for name, severity, summary in described
    ]
    driver = {"name": "plimsoll lint", "version": __version__, "rules": rules}
    results = [_result(each, indexes[each.rule]) for each in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(finding: LintFinding, rule_index: int) -> dict[str, object]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    artifact = {"uri": quote(PurePath(finding.file).as_posix())}
    # The fingerprint leaves the line out, so that a code host does not report a moved finding as new.
    identity = f"{finding.file}|{finding.rule}|{finding.requirement}|{finding.why}"
    fingerprint = hashlib.sha256(identity.encode()).hexdigest()
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.severity.value,
        "message": {"text": f"{finding.why}. {_sentence(finding.fix)}"},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"plimsoll/v1": fingerprint[:32]},
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"
