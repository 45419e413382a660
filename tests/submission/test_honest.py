"""What honest vendors write draws no finding but advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.capabilities.requirements import VERSIONS
from plimsoll.submission.finding import Finding, Severity
from plimsoll.submission.linting import lint_file
from plimsoll.submission.questionnaire import snake

from .made import ANSWERS, DOCS, answer, changed, filed, filled, linted, template_of, with_metadata, written


def loud(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity is not Severity.NOTE]


@pytest.mark.parametrize("keys", [str, snake], ids=["camelCase", "snake_case"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_honest_questionnaire_of_any_version_is_clean(tmp_path: Path, version: str, keys: type[str]) -> None:
    assert loud(linted(tmp_path, filled(version, keys), version)) == []


def test_comments_anchors_merge_keys_quotes_and_folded_lines_are_no_findings(tmp_path: Path) -> None:
    text = written(filled())
    text = "---\n# filed by Acme\nx-common: &common\n  status: Implemented   # all of it\n" + text
    text = text.replace("      level: MUST\n", "      level: 'MUST'\n")
    block = "  - id: robust_controller"
    assert block in text
    text = text.replace(block, "  - <<: *common\n    id: robust_controller")
    assert loud(linted(tmp_path, text)) == []


def test_an_answer_that_is_left_blank_for_a_should_is_none(tmp_path: Path) -> None:
    document = changed(filled("1.37"), "workload_sandboxing", status=None, evidence=None, notes="Not evaluated.")
    assert loud(linted(tmp_path, document, "1.37")) == []


def test_shoulds_that_do_not_apply_or_are_not_done_are_none(tmp_path: Path) -> None:
    document = changed(
        filled(), "high_performance_networking", status="N/A", evidence=[], notes="Single-node product: no other node."
    )
    document = changed(
        document, "virtualized_accelerator", status="Not Implemented", notes="Planned for a later release."
    )
    document = changed(
        document, "gpu_sharing", status="Partially Implemented", notes="MIG only; time slicing is planned."
    )
    assert loud(linted(tmp_path, document)) == []


def test_one_page_on_all_of_conformance_is_advice_at_most(tmp_path: Path) -> None:
    document = filled()
    for name in ANSWERS:
        if name in [each["id"] for items in document["spec"].values() for each in items]:
            document = changed(document, name, evidence=[f"{DOCS}/conformance"], status="Implemented")
            if not answer(document, name)["notes"]:
                document = changed(document, name, notes=f"{name} was tried.")
    findings = linted(tmp_path, document)
    assert loud(findings) == []
    assert [each.rule for each in findings].count("evidence-reused") == 1


def test_a_page_by_fragments_for_everything_is_no_reuse(tmp_path: Path) -> None:
    document = filled()
    for items in document["spec"].values():
        for each in items:
            if each["evidence"]:
                each["evidence"] = [f"README.md#{each['id']}"]
    path = filed(tmp_path, document)
    (path.parent / "README.md").write_text("# all of it\n")
    assert lint_file(path, [template_of()]) == []


def test_a_draft_that_is_not_yet_in_its_place_is_judged_by_what_it_states(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(written(filled()))
    (warning,) = loud(lint_file(path, [template_of()]))
    assert warning.rule == "evidence-file"
    assert "evidence/gang.md" in warning.why


def test_versions_are_compared_as_versions(tmp_path: Path) -> None:
    for spelling in ("1.36", "v1.36.2", "v1.36.2+acme.1"):
        assert loud(linted(tmp_path, with_metadata(filled(), kubernetesVersion=spelling))) == []


def test_artefacts_by_each_way_of_naming_them_are_read(tmp_path: Path) -> None:
    names = ["junit.xml", "file://v1.37/acme/junit.xml#TestGangScheduling", "file://junit.xml", "./e2e.log"]
    path = filed(tmp_path, changed(filled("1.37"), "gang_scheduling", evidence=names), "1.37")
    (path.parent / "junit.xml").write_text('<testsuite><testcase name="TestGangScheduling"/></testsuite>')
    (path.parent / "e2e.log").write_text("--- PASS: TestGangScheduling (3.00s)\n")
    assert loud(lint_file(path, [template_of("1.37")])) == []
