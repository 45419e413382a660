"""Writes a submission's directory: the questionnaire, a page per answer, the bundle and the official artefacts."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.application.documents import read_text_file
from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.requirements import TENANTS, VERSIONS
from plimsoll.documents.places import display_path
from plimsoll.errors import FileError, PlimsollError
from plimsoll.files import flush, replace_file
from plimsoll.submission.answers import (
    BUNDLE_DIRECTORY,
    PAGES_DIRECTORY,
    RequirementAnswer,
    answer_requirements,
    exit_status,
)
from plimsoll.submission.artifacts import ARTIFACT_NAMES, Artifact, parse_artifact
from plimsoll.submission.evidence_pages import evidence_page
from plimsoll.submission.finding import LintFinding
from plimsoll.submission.linter import QUESTIONNAIRE_FILE, lint_file
from plimsoll.submission.questionnaire import METADATA_FIELDS, NonText, read_questionnaire, snake_case
from plimsoll.submission.template import fill_template
from plimsoll.submission.version_requirements import (
    VersionRequirements,
    is_official_description,
    template_requirements,
)

# Rules whose findings only the vendor can fix: names, addresses, the product's Kubernetes conformance.
VENDOR_RULES = frozenset(
    {"placeholder", "missing-field", "bad-email", "logo-format", "not-a-member", "bad-conformance-url"}
)


class SuiteArtifacts(Struct, frozen=True, kw_only=True):
    """The official suite's files of a directory, all by file name.

    `contents` are their bytes, `refused` the reasons why a file does not go into the submission.
    """

    parsed: Mapping[str, Artifact] = {}
    contents: Mapping[str, bytes] = {}
    refused: Mapping[str, str] = {}


class WrittenSubmission(Struct, frozen=True, kw_only=True):
    """The result of `write_submission`: what was written, and what remains to be done.

    `to_supply` are the findings that only the vendor can fix, `findings` the other ones. `artifacts` counts tests by
    file and result. `altered` names requirements whose text in the template is not an official one. `status` is the
    exit status.
    """

    output: str
    answers: tuple[RequirementAnswer, ...]
    to_supply: tuple[LintFinding, ...]
    findings: tuple[LintFinding, ...]
    artifacts: dict[str, dict[str, int]]
    refused: dict[str, str]
    altered: tuple[str, ...]
    status: int


def require_intact(bundle: Bundle) -> None:
    """Raises PlimsollError for a bundle of no profile of the programme, and for one that is not as it was signed."""
    if bundle.profile == TENANTS:
        raise PlimsollError(
            "the programme has no requirement of the profile tenants",
            where=str(bundle.path),
            hint=f"check with a profile of the programme, such as cncf-{VERSIONS[-1]}",
        )
    if bundle.problems:
        raise PlimsollError(
            f"the bundle is not as it was signed: {bundle.problems[0]}",
            where=str(bundle.path),
            hint=f"list every difference with plimsoll verify {bundle.path}, then check the cluster again",
        )


def require_matching_template(template: VersionRequirements, bundle: Bundle, file: str) -> None:
    """Raises FileError for a template of another version, or with other requirements than that version has."""
    if template.version != bundle.version:
        raise FileError(
            f"the template is for {template.version}, but the bundle was judged by {bundle.profile}",
            where=file,
            hint=f"use the template of {bundle.version}, or check with --profile cncf-{template.version}",
        )
    wanted = {each.requirement: each.level for each in bundle.judged}
    differing = sorted(set(wanted.items()) ^ set(template.levels.items()))
    if differing:
        raise FileError(
            f"this is not the template of {template.version}: "
            f"'{differing[0][0]}' is missing, added or has another level",
            where=file,
            hint=f"download docs/AIConformance-{template.version}.yaml again and leave it unchanged",
        )


def read_metadata(path: Path | None, pairs: tuple[str, ...]) -> dict[str, str]:
    """Read metadata from a YAML file and from `key=value` pairs; the pairs win.

    The file holds the fields under `metadata:` or at the top. Keys may be in camelCase or snake_case. Raises FileError.
    """
    given: dict[str, object] = {}
    if path:
        root = read_questionnaire(path).root
        section = root.get("metadata")
        given = section if isinstance(section, dict) else root
    for pair in pairs:
        field, sign, text = pair.partition("=")
        if not sign:
            raise FileError(
                f"expected KEY=VALUE, got '{pair}'", where="--set", hint="for example --set platformVersion=2.4"
            )
        given = {**given, field.strip(): text.strip()}
    names = {**{snake_case(name): name for name in METADATA_FIELDS}, **{name: name for name in METADATA_FIELDS}}
    metadata = {}
    for key, value in given.items():
        where = display_path(path) if path else "--set"
        if key not in names:
            fields = ", ".join(METADATA_FIELDS)
            raise FileError(f"unknown metadata field '{key}'", where=where, hint=f"the fields are {fields}")
        # An unquoted 1.0 means its text, and is written to the questionnaire in quotes.
        plain = value.text if isinstance(value, NonText) else value
        if not isinstance(plain, str | None):
            raise FileError(f"'{key}' must be a text", where=where, hint="write one quoted text")
        if plain:
            metadata[names[key]] = plain
    return metadata


def read_suite_artifacts(directory: Path | None) -> SuiteArtifacts:
    """Read the official suite's files; None stands for no files. Raises FileError when the directory has none."""
    if directory is None:
        return SuiteArtifacts()
    present = [name for name in ARTIFACT_NAMES if (directory / name).is_file()]
    if not present:
        hint = f"the official suite's files are named {', '.join(ARTIFACT_NAMES)}"
        raise FileError("the directory has no official artefact", where=display_path(directory), hint=hint)
    parsed, contents, refused = {}, {}, {}
    for name in present:
        try:
            contents[name] = (directory / name).read_bytes()
            parsed[name] = parse_artifact(name, contents[name])
        except (OSError, ValueError) as error:
            refused[name] = f"it cannot be read: {error}"
            continue
        if parsed[name].failures:
            refused[name] = f"it has failed tests: {', '.join(parsed[name].failures[:5])}"
    return SuiteArtifacts(parsed=parsed, contents=contents, refused=refused)


def write_submission(
    bundle: Bundle, template: Path, metadata: Mapping[str, str], artifacts: SuiteArtifacts, output: Path
) -> WrittenSubmission:
    """Write the whole directory or nothing. Raises PlimsollError, FileError, OSError."""
    require_intact(bundle)
    expected = template_requirements(template)
    require_matching_template(expected, bundle, display_path(template))
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileError(
            "a submission needs a directory of its own",
            where=display_path(output),
            hint="name a new or empty directory",
        )
    answers = answer_requirements(bundle, artifacts.parsed)
    text = fill_template(_read_unchanged(template), answers, metadata, display_path(template))
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.parent / f".{output.name}.{secrets.token_hex(8)}"
    try:
        _write_files(staged, bundle, text, answers, artifacts)
        # rename() replaces an empty directory, and a reader sees the whole submission or none of it.
        staged.rename(output)
    except BaseException:
        # Ctrl-C too must not leave a partial directory beside the output.
        shutil.rmtree(staged, ignore_errors=True)
        raise
    flush(output.parent)
    return _written(output, expected, answers, artifacts)


def _written(
    output: Path, expected: VersionRequirements, answers: list[RequirementAnswer], artifacts: SuiteArtifacts
) -> WrittenSubmission:
    blank = {each.requirement for each in answers if not each.status}
    findings = [each for each in lint_file(output / QUESTIONNAIRE_FILE, [expected]) if each.requirement not in blank]
    descriptions = expected.descriptions.items()
    return WrittenSubmission(
        output=str(output),
        answers=tuple(answers),
        to_supply=tuple(each for each in findings if each.rule in VENDOR_RULES),
        findings=tuple(each for each in findings if each.rule not in VENDOR_RULES),
        artifacts={name: found.counts for name, found in artifacts.parsed.items()},
        refused=dict(artifacts.refused),
        altered=tuple(name for name, text in descriptions if is_official_description(name, text) is False),
        status=exit_status(answers, artifacts.refused),
    )


def _write_files(
    directory: Path, bundle: Bundle, text: str, answers: list[RequirementAnswer], artifacts: SuiteArtifacts
) -> None:
    shutil.copytree(bundle.path, directory / BUNDLE_DIRECTORY, symlinks=True)
    (directory / PAGES_DIRECTORY).mkdir()
    judged = {each.requirement: each for each in bundle.judged}
    for answer in answers:
        if answer.status:
            content = evidence_page(bundle, judged[answer.requirement]).encode()
            replace_file(directory / PAGES_DIRECTORY / f"{answer.requirement}.md", content)
    for name, content in artifacts.contents.items():
        if name not in artifacts.refused:
            replace_file(directory / name, content)
    replace_file(directory / QUESTIONNAIRE_FILE, text.encode())
    for folder, _, files in os.walk(directory / BUNDLE_DIRECTORY):
        for name in files:
            if not (Path(folder) / name).is_symlink():
                flush(Path(folder) / name)
        flush(Path(folder))


def _read_unchanged(path: Path) -> str:
    """The text with its own line ends, which text mode would change. Raises FileError."""
    read_text_file(path, display_path(path))  # raises FileError when the file is not readable text
    return path.read_bytes().decode()
