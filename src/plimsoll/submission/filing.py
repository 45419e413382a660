"""Makes a submission's directory: the questionnaire, a page for each answer, the bundle, the official artefacts."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from plimsoll.application.documents import file_text
from plimsoll.application.places import shown
from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.errors import FileError, PlimsollError
from plimsoll.files import flush, replace_file
from plimsoll.submission.answers import BUNDLE, PAGES, Answer, answers, status_of
from plimsoll.submission.artifacts import NAMES, Artifact, parse
from plimsoll.submission.expected import Expected, from_template, known_text
from plimsoll.submission.filling import fill
from plimsoll.submission.finding import Finding
from plimsoll.submission.linting import FILE, lint_file
from plimsoll.submission.pages import page
from plimsoll.submission.questionnaire import METADATA, Odd, read_questionnaire, snake

# Findings that only the vendor can mend: names, addresses, the k8s conformance of the product.
VENDORS = frozenset({"placeholder", "missing-field", "bad-email", "logo-format", "not-a-member", "bad-conformance-url"})


class Artifacts(Struct, frozen=True, kw_only=True):
    """The official suite's files of a directory: what they hold, their bytes, and why others were not taken in."""

    parsed: Mapping[str, Artifact] = {}
    contents: Mapping[str, bytes] = {}
    refused: Mapping[str, str] = {}


class Filed(Struct, frozen=True, kw_only=True):
    """What was written, and what is left to do."""

    output: str
    answers: tuple[Answer, ...]
    to_supply: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    artifacts: dict[str, dict[str, int]]
    refused: dict[str, str]
    altered: tuple[str, ...]
    status: int


def require_whole(bundle: Bundle) -> None:
    """Raises PlimsollError for a bundle that is not as it was signed: nothing is claimed from it."""
    if bundle.problems:
        raise PlimsollError(
            f"the bundle is not as it was signed: {bundle.problems[0]}",
            where=str(bundle.path),
            hint=f"plimsoll verify {bundle.path} names everything; check the cluster again",
        )


def require_version(template: Expected, bundle: Bundle, file: str) -> None:
    """Raises FileError for a template of another version, or with other requirements than that version's."""
    if template.version != bundle.version:
        raise FileError(
            f"the template is of {template.version}, the bundle was judged by {bundle.profile}",
            where=file,
            hint=f"give the template of {bundle.version}, or check with --profile cncf-{template.version}",
        )
    wanted = {each.requirement: each.level for each in bundle.judged}
    differing = sorted(set(wanted.items()) ^ set(template.levels.items()))
    if differing:
        raise FileError(
            f"this is no template of {template.version}: '{differing[0][0]}' is missing, added or of another level",
            where=file,
            hint="take the published one again, unchanged",
        )


def read_metadata(path: Path | None, pairs: tuple[str, ...]) -> dict[str, str]:
    """Metadata from a file (`metadata:` or its keys alone) and from `key=value`, which wins. Raises FileError."""
    found: dict[str, Any] = {}
    if path:
        read = read_questionnaire(path)
        found = read.root["metadata"] if isinstance(read.root.get("metadata"), dict) else read.root
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise FileError(f"'{pair}' is no KEY=VALUE", where="--set")
        found = {**found, key.strip(): value.strip()}
    names = {**{snake(name): name for name in METADATA}, **{name: name for name in METADATA}}
    metadata = {}
    for key, value in found.items():
        where = shown(path) if path else "--set"
        if key not in names:
            raise FileError(f"there is no metadata '{key}'", where=where, hint=f"there are: {', '.join(METADATA)}")
        # Whoever writes 1.0 without quotes means the text; it is written with them.
        text = value.text if isinstance(value, Odd) else value
        if not isinstance(text, str | None):
            raise FileError(f"'{key}' must be a text", where=where)
        if text:
            metadata[names[key]] = text
    return metadata


def read_artifacts(directory: Path | None) -> Artifacts:
    """The official suite's files. Raises FileError when the directory has none of them."""
    if directory is None:
        return Artifacts()
    there = [name for name in NAMES if (directory / name).is_file()]
    if not there:
        hint = f"the official suite's files are named {', '.join(NAMES)}"
        raise FileError("there is no official artefact in this directory", where=shown(directory), hint=hint)
    parsed, contents, refused = {}, {}, {}
    for name in there:
        try:
            contents[name] = (directory / name).read_bytes()
            parsed[name] = parse(name, contents[name])
        except (OSError, ValueError) as error:
            refused[name] = f"it cannot be read: {error}"
            continue
        if parsed[name].failures:
            refused[name] = f"it has failed tests: {', '.join(parsed[name].failures[:5])}"
    return Artifacts(parsed=parsed, contents=contents, refused=refused)


def write_submission(
    bundle: Bundle, template: Path, metadata: Mapping[str, str], official: Artifacts, output: Path
) -> Filed:
    """Write the directory as a whole, or nothing. Raises PlimsollError, FileError, OSError."""
    require_whole(bundle)
    expected = from_template(template)
    require_version(expected, bundle, shown(template))
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileError(
            "a submission needs a directory of its own", where=shown(output), hint="name an empty or new one"
        )
    given = answers(bundle, official.parsed)
    text = fill(_exactly(template), given, metadata, shown(template))
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.parent / f".{output.name}.{secrets.token_hex(8)}"
    try:
        _write(staged, bundle, text, given, official)
        # An empty directory gives way to the rename; a reader sees all of the submission or none.
        staged.rename(output)
    except BaseException:
        # Also Ctrl-C: nothing half-made stays beside what was asked for.
        shutil.rmtree(staged, ignore_errors=True)
        raise
    flush(output.parent)
    findings = lint_file(output / FILE, [expected])
    open_names = {each.requirement for each in given if not each.status}
    left = [each for each in findings if each.requirement not in open_names]
    return Filed(
        output=str(output),
        answers=tuple(given),
        to_supply=tuple(each for each in left if each.rule in VENDORS),
        findings=tuple(each for each in left if each.rule not in VENDORS),
        artifacts={name: found.counts for name, found in official.parsed.items()},
        refused=dict(official.refused),
        altered=tuple(name for name, words in expected.descriptions.items() if known_text(name, words) is False),
        status=status_of(given, official.refused),
    )


def _write(staged: Path, bundle: Bundle, text: str, given: list[Answer], official: Artifacts) -> None:
    shutil.copytree(bundle.path, staged / BUNDLE, symlinks=True)
    (staged / PAGES).mkdir()
    judged = {each.requirement: each for each in bundle.judged}
    for answer in given:
        if answer.status:
            content = page(bundle, judged[answer.requirement]).encode()
            replace_file(staged / PAGES / f"{answer.requirement}.md", content)
    for name, content in official.contents.items():
        if name not in official.refused:
            replace_file(staged / name, content)
    replace_file(staged / FILE, text.encode())
    for folder, _, files in os.walk(staged / BUNDLE):
        for name in files:
            if not (Path(folder) / name).is_symlink():
                flush(Path(folder) / name)
        flush(Path(folder))


def _exactly(path: Path) -> str:
    """The text with its own line ends, which reading it as text would change."""
    file_text(path, shown(path))  # tells of what cannot be read
    return path.read_bytes().decode()
