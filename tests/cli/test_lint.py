"""`plimsoll lint` as a process: its output, its formats and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.submission.questionnaires import (
    complete_questionnaire,
    save_questionnaire,
    template,
    with_answer,
    with_metadata,
)

from .conftest import Plimsoll, answer


@pytest.fixture
def official(tmp_path: Path) -> str:
    (tmp_path / "template.yaml").write_text(template("1.36"))
    return "--template=template.yaml"


def test_a_finding_has_file_line_column_rule_reason_and_fix(tmp_path: Path, plimsoll: Plimsoll, official: str) -> None:
    path = save_questionnaire(
        tmp_path,
        with_answer(complete_questionnaire(), "gang_scheduling", status="implemented", evidence=["https://a.io/kueue"]),
    )
    line = path.read_text().splitlines().index("    status: implemented") + 1
    ended = plimsoll("lint", "v1.36", official)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[:2] == [
        f"v1.36/acme/PRODUCT.yaml:{line}:13: error bad-status: 'implemented' is not a status that the validator accepts",
        "    write Implemented",
    ]
    assert ended.stdout.splitlines()[-1].startswith("1 file: 1 error")


@pytest.mark.slow
def test_a_warning_fails_the_command_only_with_strict(tmp_path: Path, plimsoll: Plimsoll, official: str) -> None:
    save_questionnaire(tmp_path, with_metadata(complete_questionnaire(), contactEmailAddress="nobody"))
    assert plimsoll("lint", ".", official).returncode == 0
    assert plimsoll("lint", ".", official, "--strict").returncode == 1
    save_questionnaire(tmp_path, complete_questionnaire())
    assert plimsoll("lint", ".", official, "--strict").returncode == 0


def test_json_has_every_finding_with_its_place_and_the_counts(
    tmp_path: Path, plimsoll: Plimsoll, official: str
) -> None:
    save_questionnaire(tmp_path, with_metadata(complete_questionnaire(), contactEmailAddress="nobody"))
    found = answer(plimsoll("lint", ".", official, "--json"))
    assert found["files"] == 1
    (warning,) = [each for each in found["findings"] if each["severity"] == "warning"]
    assert set(warning) == {"file", "line", "column", "rule", "severity", "why", "fix", "requirement"}
    assert (warning["rule"], found["counts"]["warning"]) == ("bad-email", 1)


def test_sarif_names_a_rule_a_level_and_a_place_for_each_finding(
    tmp_path: Path, plimsoll: Plimsoll, official: str
) -> None:
    save_questionnaire(
        tmp_path,
        with_answer(
            with_metadata(complete_questionnaire(), contactEmailAddress="nobody"), "gang_scheduling", status=""
        ),
    )
    ended = plimsoll("lint", "v1.36/acme/PRODUCT.yaml", official, "--format=sarif", "--sarif=out.sarif")
    written = json.loads((tmp_path / "out.sarif").read_text())
    assert answer(ended) == written
    assert (ended.returncode, written["version"]) == (1, "2.1.0")
    (run,) = written["runs"]
    rules = run["tool"]["driver"]["rules"]
    levels = {each["ruleId"]: each["level"] for each in run["results"]}
    assert levels["bad-email"] == "warning"
    assert levels["must-not-implemented"] == "error"
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        (place,) = each["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "v1.36/acme/PRODUCT.yaml"
        assert place["physicalLocation"]["region"]["startLine"] > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no questionnaire is named"),
        (("nowhere.yaml",), "the file does not exist"),
        (("empty",), "the directory has no PRODUCT.yaml"),
        (("empty", "--template=nowhere.yaml"), "nowhere.yaml"),
        (("draft.yaml", "--template=draft.yaml"), "this is not an official template"),
        (("draft.yaml", "--landscape=draft.yaml"), "this is not a landscape file"),
    ],
)
def test_wrong_usage_has_exit_status_2(
    tmp_path: Path, plimsoll: Plimsoll, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "draft.yaml").write_text("metadata: {}\n")
    ended = plimsoll("lint", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr


def test_the_vendor_name_is_compared_with_the_landscape_file(tmp_path: Path, plimsoll: Plimsoll, official: str) -> None:
    save_questionnaire(tmp_path, complete_questionnaire())
    items = "[{name: Acme Inc. (member)}, {name: Zeta (supporter)}]"
    landscape = f"landscape: [{{name: CNCF Members, subcategories: [{{items: {items}}}]}}]\n"
    (tmp_path / "landscape.yml").write_text(landscape)
    assert plimsoll("lint", ".", official, "--landscape=landscape.yml").returncode == 0
    (tmp_path / "landscape.yml").write_text(landscape.replace("Acme Inc.", "Other"))
    ended = plimsoll("lint", ".", official, "--landscape=landscape.yml")
    assert "not-a-member" in ended.stdout
    assert ended.returncode == 1
