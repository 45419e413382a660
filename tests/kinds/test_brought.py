"""Models that are brought, in the file: mistakes have their place, and what a plan says of their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"


def loaded(directory: Path, models: str) -> ApplicationFile:
    path = directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}  models: {{{models}}}\n")
    (directory / "t.py").touch()
    file = KINDS.load(path)
    KINDS.check(file)
    return file


def planned(directory: Path, models: str) -> Plan:
    file = loaded(directory, models)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests"), TargetFacts(target="local", cpu=1, memory=1))


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ("m: {}", "has neither `train` nor `source`"),
        ("m: {source: m.onnx, train: {run: python t.py}}", "has both `train` and `source`"),
        ("m: {licence: MIT, train: {run: python t.py}}", "`licence` is only for a model that is brought"),
        ("m: {source: not-there.onnx}", "not-there.onnx"),
        ("m: {source: 'pypi:a#*.onnx'}", "pypi:NAME==VERSION#PATTERN"),
        ("m: {source: 'hf://a/b@main/m.onnx'}", "may mean other content tomorrow"),
        ("m: {source: 'ftp://a/m.onnx'}", "sources of ftp:// are not supported"),
        ("m: {source: t.py, tokenizer: nowhere.json}", "nowhere.json"),
    ],
)
def test_a_mistake_in_a_source_is_told_with_its_place(tmp_path: Path, models: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        loaded(tmp_path, models)
    assert words in caught.value.message
    assert "plimsoll.yaml:5:" in caught.value.where
    assert caught.value.hint


def test_a_pinned_source_is_planned_without_a_network_and_its_step_follows_what_it_says(tmp_path: Path) -> None:
    first, second = planned(tmp_path, "m: {source: 'pypi:a==1.0#*.onnx'}").steps
    assert (first.name, second.name, second.needs) == ("bring/m", "register/m", ("bring/m",))
    other, _ = planned(tmp_path, "m: {source: 'pypi:a==1.1#*.onnx'}").steps
    assert other.key != first.key
    same, gated = planned(tmp_path, "m: {source: 'pypi:a==1.0#*.onnx', licences: [MIT]}").steps
    assert same.key == first.key
    assert gated.key != second.key


def test_a_file_of_the_application_is_known_by_its_content_and_so_is_its_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"1")
    (tmp_path / "t.json").write_bytes(b"{}")
    text = "m: {source: m.onnx, tokenizer: t.json}"
    keys = [planned(tmp_path, text).steps[0].key]
    for name, content in (("m.onnx", b"2"), ("t.json", b"[]")):
        (tmp_path / name).write_bytes(content)
        keys.append(planned(tmp_path, text).steps[0].key)
    assert len(set(keys)) == 3


def test_credentials_in_an_address_are_in_no_ingredient(tmp_path: Path) -> None:
    step = planned(tmp_path, f"m: {{source: 'https://me:secret@site.test/m.onnx', sha256: {'a' * 64}}}").steps[0]
    assert "secret" not in str(step.ingredients)
