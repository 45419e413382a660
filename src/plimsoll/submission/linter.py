"""Lints questionnaires: applies every rule to every file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plimsoll.documents.places import display_path
from plimsoll.errors import FileError
from plimsoll.submission.finding import LintFinding, Severity
from plimsoll.submission.questionnaire import Questionnaire, read_questionnaire
from plimsoll.submission.rules import NOT_YAML, RULES
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.submission_files import SubmissionFiles, read_submission_files
from plimsoll.submission.version_requirements import VersionRequirements, effective_version, known_requirements

QUESTIONNAIRE_FILE = "PRODUCT.yaml"
_PLACE = re.compile(r"(.*):(\d+):(\d+)")


def find_questionnaires(paths: Sequence[Path]) -> list[Path]:
    """Questionnaires at the user's paths. A directory stands for every PRODUCT.yaml (or PRODUCT.yml) below it.

    Raises FileError for a path that does not exist and for a directory without a questionnaire.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted({*path.rglob(QUESTIONNAIRE_FILE), *path.rglob("PRODUCT.yml")})
            if not below:
                raise FileError(
                    f"the directory has no {QUESTIONNAIRE_FILE}",
                    where=display_path(path),
                    hint="name the questionnaire file itself",
                )
            found.update(dict.fromkeys(below))
        elif path.exists():
            found[path] = None
        else:
            raise FileError(
                "the file does not exist", where=display_path(path), hint="name a PRODUCT.yaml or a directory"
            )
    return list(found)


def lint_file(
    path: Path, templates: Sequence[VersionRequirements] = (), members: frozenset[str] | None = None
) -> list[LintFinding]:
    """Lint one file; the findings are in the order of their places. A file that cannot be read is one finding."""
    try:
        questionnaire = read_questionnaire(path)
    except FileError as error:
        return [_unreadable(error, display_path(path))]
    return lint_questionnaire(questionnaire, read_submission_files(questionnaire), templates, members)


def lint_questionnaire(
    questionnaire: Questionnaire,
    files: SubmissionFiles,
    templates: Sequence[VersionRequirements] = (),
    members: frozenset[str] | None = None,
) -> list[LintFinding]:
    """Apply every rule to a questionnaire; the findings are in the order of their places. Pure.

    `members` are the names of the CNCF's members, or None to leave that check out.
    """
    version = effective_version(questionnaire)
    template = next((each for each in templates if each.version == version), None)
    expected = template or known_requirements(version)
    context = RuleContext(questionnaire=questionnaire, expected=expected, files=files, members=members)
    findings = [
        LintFinding(
            file=questionnaire.file,
            line=match.place.line,
            column=match.place.column,
            rule=rule.id,
            severity=match.severity or rule.severity,
            why=match.why,
            fix=match.fix,
            requirement=match.requirement,
        )
        for rule in RULES
        for match in rule.find(context)
    ]
    return sorted(findings, key=lambda each: each.order)


def has_failures(findings: Sequence[LintFinding], strict: bool) -> bool:
    """Whether any finding is an error, or with `strict` a warning."""
    failing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return any(each.severity in failing for each in findings)


def read_members(path: Path) -> frozenset[str]:
    """Names of the CNCF's members from its landscape file. Raises FileError for any other file."""
    import yaml

    try:
        landscape = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both loaders are safe
        names = [
            item["name"]
            for category in landscape["landscape"]
            if category["name"] == "CNCF Members"
            for group in category["subcategories"]
            for item in group["items"]
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no category 'CNCF Members'"
        hint = "use landscape.yml of github.com/cncf/landscape"
        raise FileError(f"this is not a landscape file: {reason}", where=display_path(path), hint=hint) from None
    return frozenset(re.sub(r" \((?:member|supporter)\)$", "", str(name)).strip() for name in names)


def _unreadable(error: FileError, file: str) -> LintFinding:
    found = _PLACE.fullmatch(error.where)
    return LintFinding(
        file=file,
        line=int(found[2]) if found else 1,
        column=int(found[3]) if found else 1,
        rule=NOT_YAML,
        severity=Severity.ERROR,
        why=error.message,
        fix=error.hint or "start from the official template",
    )
