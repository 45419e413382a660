"""Lint: every rule over every questionnaire."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plimsoll.application.places import shown
from plimsoll.errors import FileError
from plimsoll.submission.expected import Expected, expected, version_of
from plimsoll.submission.finding import Finding, Severity
from plimsoll.submission.questionnaire import Questionnaire, read_questionnaire
from plimsoll.submission.rules import NOT_YAML, RULES
from plimsoll.submission.rules.context import Context
from plimsoll.submission.surroundings import Surroundings, look_around

FILE = "PRODUCT.yaml"
_PLACE = re.compile(r"(.*):(\d+):(\d+)")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The questionnaires that the user's paths mean: files, or every PRODUCT.yaml below a directory.

    Raises FileError for a path that is not there, or a directory without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted({*path.rglob(FILE), *path.rglob("PRODUCT.yml")})
            if not below:
                raise FileError(f"there is no {FILE} in this directory", where=shown(path), hint="name the file itself")
            found.update(dict.fromkeys(below))
        elif path.exists():
            found[path] = None
        else:
            raise FileError("there is no such file", where=shown(path))
    return list(found)


def lint_file(path: Path, templates: Sequence[Expected] = (), members: frozenset[str] | None = None) -> list[Finding]:
    """Every finding on one file, by place. What cannot be read at all is one finding."""
    try:
        questionnaire = read_questionnaire(path)
    except FileError as error:
        return [_unreadable(error, shown(path))]
    return lint(questionnaire, look_around(questionnaire), templates, members)


def lint(
    questionnaire: Questionnaire,
    surroundings: Surroundings,
    templates: Sequence[Expected] = (),
    members: frozenset[str] | None = None,
) -> list[Finding]:
    """Every finding on a questionnaire, by place. Pure."""
    version = version_of(questionnaire)
    wanted = next((each for each in templates if each.version == version), None) or expected(version)
    context = Context(questionnaire=questionnaire, expected=wanted, surroundings=surroundings, members=members)
    findings = [
        Finding(
            file=questionnaire.file,
            line=hit.place.line,
            column=hit.place.column,
            rule=rule.id,
            severity=hit.severity or rule.severity,
            why=hit.why,
            fix=hit.fix,
            requirement=hit.requirement,
        )
        for rule in RULES
        for hit in rule.find(context)
    ]
    return sorted(findings, key=lambda each: each.order)


def failed(findings: Sequence[Finding], strict: bool) -> bool:
    """Whether the findings are to end a command with 1."""
    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return any(each.severity in bad for each in findings)


def members_of(path: Path) -> frozenset[str]:
    """Names of the CNCF's members from its landscape file. Raises FileError when it is none."""
    import yaml

    try:
        landscape = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # safe loaders both
        names = [
            item["name"]
            for category in landscape["landscape"]
            if category["name"] == "CNCF Members"
            for group in category["subcategories"]
            for item in group["items"]
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no category 'CNCF Members'"
        hint = "take landscape.yml of github.com/cncf/landscape"
        raise FileError(f"this is no landscape file: {reason}", where=shown(path), hint=hint) from None
    return frozenset(re.sub(r" \((?:member|supporter)\)$", "", str(name)).strip() for name in names)


def _unreadable(error: FileError, file: str) -> Finding:
    found = _PLACE.fullmatch(error.where)
    return Finding(
        file=file,
        line=int(found[2]) if found else 1,
        column=int(found[3]) if found else 1,
        rule=NOT_YAML,
        severity=Severity.ERROR,
        why=error.message,
        fix=error.hint or "start from the official template",
    )
