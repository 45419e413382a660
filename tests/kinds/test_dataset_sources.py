"""Sources of datasets: a file of a package is known by its words, and one in a wrong form is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec:\n"


def planned(directory: Path, source: str) -> Plan:
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}  datasets: {{rows: {source}}}\n")
    file = KINDS.load(path)
    KINDS.check(file)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests"), TargetFacts(target="local", cpu=1, memory=1))


def key(directory: Path, source: str) -> str:
    (step,) = planned(directory, source).steps
    return step.key


def test_a_file_of_a_package_is_planned_without_asking_anybody_and_another_version_is_another_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    one = key(tmp_path, "{source: 'npm:@city/streets@1.0#*.csv'}")
    assert key(tmp_path, "{source: 'npm:@city/streets@1.0#*.csv'}") == one
    assert key(tmp_path, "{source: 'npm:@city/streets@1.1#*.csv'}") != one
    pinned = key(tmp_path, f"{{source: 'npm:@city/streets@1.0#*.csv', sha256: {'a' * 64}}}")
    assert key(tmp_path, f"{{source: 'pypi:streets==1.0#*.csv', sha256: {'a' * 64}}}") == pinned


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("npm:streets#*.csv", "npm:NAME@VERSION#PATTERN"),
        ("pypi:streets==1.0", "pypi:NAME==VERSION#PATTERN"),
        ("maven:streets:1.0#*.csv", "maven:GROUP:ARTIFACT:VERSION#PATTERN"),
    ],
)
def test_a_package_in_a_wrong_form_is_refused_with_the_form(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(FileError, match=r"a file of a package is") as raised:
        planned(tmp_path, f"{{source: '{source}'}}")
    assert words in raised.value.message
    assert raised.value.where.endswith("plimsoll.yaml:5:29")
