"""Lint reports findings for any file content and never fails with an error of its own."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import FileError
from plimsoll.submission.artifacts import ARTIFACT_NAMES, Artifact, parse_artifact
from plimsoll.submission.finding import LintFinding
from plimsoll.submission.linter import lint_file, lint_questionnaire
from plimsoll.submission.questionnaire import parse_questionnaire
from plimsoll.submission.submission_files import read_submission_files

from .questionnaires import as_yaml, complete_questionnaire, template

TEXTS = [as_yaml(complete_questionnaire("1.37")), template("1.37")]
PIECES = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "'",
    '"',
    "\t",
    "\n",
    "\x00",
    "é",
    "#",
    "|",
    "null",
]
scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.dates()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def findings_of(text: str, path: Path) -> list[LintFinding]:
    try:
        questionnaire = parse_questionnaire(text, path, path.name)
    except FileError:
        return []
    findings = lint_questionnaire(questionnaire, read_submission_files(questionnaire))
    lines = text.count("\n") + 1
    assert all(1 <= each.line <= lines + 1 and each.column >= 1 and each.why and each.fix for each in findings)
    return findings


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False))
def test_a_questionnaire_with_parts_removed_repeated_or_inserted_is_linted(text: str, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.randint(0, 60))
        text = text[:start] + chance.choice(["", chance.choice(PIECES), text[start:end] * 2]) + text[end:]
    findings_of(text, Path("/nowhere/v1.37/acme/PRODUCT.yaml"))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(values, st.sampled_from(["metadata", "spec", "kubernetesVersion", "id", "evidence", "notes", "status", "level"]))
def test_a_questionnaire_with_any_value_in_any_place_is_linted(value: object, key: str) -> None:
    document = complete_questionnaire("1.37")
    if key in document:
        document[key] = value
    elif key in document["metadata"]:
        document["metadata"][key] = value
    else:
        document["spec"]["security"][0][key] = value
    findings_of(as_yaml(document), Path("/nowhere/v1.37/acme/PRODUCT.yaml"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_a_file_with_any_bytes_is_linted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "PRODUCT.yaml"
    path.write_bytes(content)
    assert lint_file(path)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(ARTIFACT_NAMES),
    st.binary(max_size=200) | st.text(alphabet='<>/"{}:, \n-PASFIL=testcanmeAcio', max_size=200),
)
def test_an_artefact_with_any_bytes_gives_results_or_a_reason(name: str, content: bytes | str) -> None:
    try:
        assert isinstance(parse_artifact(name, content.encode() if isinstance(content, str) else content), Artifact)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "a: " * 5_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
        + "".join(
            f"k{n}: &k{n} [*{'c' if n == 0 else f'k{n - 1}'}, *{'c' if n == 0 else f'k{n - 1}'}]\n" for n in range(30)
        ),
        "a: &a [*a]",
        "metadata: &m\n  <<: *m\n",
        "\n".join("  " * n + "- " for n in range(400)),
    ],
    ids=["brackets", "keys", "aliases", "a-ring", "a-merged-ring", "indents"],
)
def test_aliases_and_nesting_that_expand_without_limit_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "PRODUCT.yaml"
    path.write_text(text)
    (finding,) = lint_file(path)
    assert finding.rule == "not-yaml"


def test_xml_entities_of_an_artefact_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
    with pytest.raises(ValueError, match="document type"):
        parse_artifact("junit.xml", bomb)
