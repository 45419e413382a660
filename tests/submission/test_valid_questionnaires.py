"""A valid questionnaire gets no finding, except notes with advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.capabilities.requirements import VERSIONS
from plimsoll.submission.finding import LintFinding, Severity
from plimsoll.submission.linter import lint_file
from plimsoll.submission.questionnaire import snake_case

from .questionnaires import (
    ANSWERS,
    DOCS,
    answer,
    as_yaml,
    complete_questionnaire,
    lint_document,
    requirements_of,
    save_questionnaire,
    with_answer,
    with_metadata,
)


def without_notes(findings: list[LintFinding]) -> list[LintFinding]:
    return [each for each in findings if each.severity is not Severity.NOTE]


@pytest.mark.parametrize("keys", [str, snake_case], ids=["camelCase", "snake_case"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_valid_questionnaire_of_any_version_has_no_errors_or_warnings(
    tmp_path: Path, version: str, keys: type[str]
) -> None:
    assert without_notes(lint_document(tmp_path, complete_questionnaire(version, keys), version)) == []


def test_comments_anchors_merge_keys_quotes_and_folded_lines_are_accepted(tmp_path: Path) -> None:
    text = as_yaml(complete_questionnaire())
    text = "---\n# written by Acme\nx-common: &common\n  status: Implemented   # all of it\n" + text
    text = text.replace("      level: MUST\n", "      level: 'MUST'\n")
    block = "  - id: robust_controller"
    assert block in text
    text = text.replace(block, "  - <<: *common\n    id: robust_controller")
    assert without_notes(lint_document(tmp_path, text)) == []


def test_a_should_may_have_a_blank_answer(tmp_path: Path) -> None:
    document = with_answer(
        complete_questionnaire("1.37"), "workload_sandboxing", status=None, evidence=None, notes="Not evaluated."
    )
    assert without_notes(lint_document(tmp_path, document, "1.37")) == []


def test_a_should_may_be_not_applicable_or_not_implemented(tmp_path: Path) -> None:
    document = with_answer(
        complete_questionnaire(),
        "high_performance_networking",
        status="N/A",
        evidence=[],
        notes="Single-node product: no other node.",
    )
    document = with_answer(
        document, "virtualized_accelerator", status="Not Implemented", notes="Planned for a later release."
    )
    document = with_answer(
        document, "gpu_sharing", status="Partially Implemented", notes="MIG only; time slicing is planned."
    )
    assert without_notes(lint_document(tmp_path, document)) == []


def test_one_page_about_the_whole_conformance_is_a_note_at_most(tmp_path: Path) -> None:
    document = complete_questionnaire()
    for name in ANSWERS:
        if name in [each["id"] for items in document["spec"].values() for each in items]:
            document = with_answer(document, name, evidence=[f"{DOCS}/conformance"], status="Implemented")
            if not answer(document, name)["notes"]:
                document = with_answer(document, name, notes=f"{name} was tried.")
    findings = lint_document(tmp_path, document)
    assert without_notes(findings) == []
    assert [each.rule for each in findings].count("evidence-reused") == 1


def test_one_page_with_a_fragment_for_each_requirement_is_accepted(tmp_path: Path) -> None:
    document = complete_questionnaire()
    for items in document["spec"].values():
        for each in items:
            if each["evidence"]:
                each["evidence"] = [f"README.md#{each['id']}"]
    path = save_questionnaire(tmp_path, document)
    (path.parent / "README.md").write_text("# all of it\n")
    assert lint_file(path, [requirements_of()]) == []


def test_a_draft_outside_its_directory_is_linted_for_the_version_that_it_states(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(as_yaml(complete_questionnaire()))
    (warning,) = without_notes(lint_file(path, [requirements_of()]))
    assert warning.rule == "evidence-file"
    assert "evidence/gang.md" in warning.why


def test_a_patch_version_or_a_vendor_suffix_is_the_same_version(tmp_path: Path) -> None:
    for spelling in ("1.36", "v1.36.2", "v1.36.2+acme.1"):
        assert (
            without_notes(lint_document(tmp_path, with_metadata(complete_questionnaire(), kubernetesVersion=spelling)))
            == []
        )


def test_artefacts_can_be_cited_by_name_by_relative_path_and_as_file_urls(tmp_path: Path) -> None:
    names = ["junit.xml", "file://v1.37/acme/junit.xml#TestGangScheduling", "file://junit.xml", "./e2e.log"]
    path = save_questionnaire(
        tmp_path, with_answer(complete_questionnaire("1.37"), "gang_scheduling", evidence=names), "1.37"
    )
    (path.parent / "junit.xml").write_text('<testsuite><testcase name="TestGangScheduling"/></testsuite>')
    (path.parent / "e2e.log").write_text("--- PASS: TestGangScheduling (3.00s)\n")
    assert without_notes(lint_file(path, [requirements_of("1.37")])) == []
