"""Names of targets in the file: what they stand for, where a part may name one, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.targets import target_named
from plimsoll.cli.options import application_state
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.table import target_of

NAMES = "onprem: {context: factory-7}, here: {local: true}"


def load(directory: Path, targets: str = NAMES, part: str = "") -> ApplicationFile:
    (directory / "orders.csv").write_text("a\n1\n")
    path = directory / "plimsoll.yaml"
    path.write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n"
        f"  targets: {{{targets}}}\n  datasets:\n    orders: {{source: orders.csv{part}}}\n"
    )
    return KINDS.load(path)


@pytest.mark.parametrize(
    ("name", "stands_for"),
    [("onprem", "factory-7"), ("here", "local"), ("local", "local"), ("other-context", "other-context")],
)
def test_a_name_stands_for_a_context_or_for_this_machine_and_others_for_themselves(
    tmp_path: Path, name: str, stands_for: str
) -> None:
    assert target_named(load(tmp_path).application, name) == stands_for


@pytest.mark.parametrize(
    ("part", "target"),
    [
        ("onprem", "onprem"),
        ("onprem", "factory-7"),
        ("here", "local"),
        ("local", "here"),
    ],
)
def test_a_part_may_name_the_target_of_the_run_by_any_of_its_names(tmp_path: Path, part: str, target: str) -> None:
    KINDS.check(load(tmp_path, part=f", target: {part}"), target)


def test_a_part_may_name_any_target_of_the_file_where_nothing_is_run(tmp_path: Path) -> None:
    KINDS.check(load(tmp_path, part=", target: onprem"), None)


def test_a_part_on_another_target_than_the_run_is_refused_with_the_option_that_runs_it(tmp_path: Path) -> None:
    with pytest.raises(FileError) as refused:
        KINDS.check(load(tmp_path, part=", target: onprem"), "here")
    assert "the part names the target 'onprem', but the run is on 'here'" in str(refused.value)
    assert "plimsoll.yaml:7:42" in str(refused.value)
    assert "--target onprem" in refused.value.hint


@pytest.mark.parametrize("target", ["local", "onprem", None])
def test_a_part_that_names_no_target_of_the_file_is_told_the_nearest(tmp_path: Path, target: str | None) -> None:
    with pytest.raises(FileError) as refused:
        KINDS.check(load(tmp_path, part=", target: onprm"), target)
    assert "there is no target 'onprm' in spec.targets" in str(refused.value)
    assert refused.value.hint == "did you mean 'onprem'?"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("cloud: {}", "says neither `context`, `local` nor `devices`"),
        ("cloud: {local: false}", "says neither `context`, `local` nor `devices`"),
        ("cloud: {context: eks, local: true}", "is both a context and this machine"),
        ("local: {context: eks}", "is this machine already"),
        ("cloud: {context: local}", "would be taken for this machine"),
    ],
)
def test_a_name_that_stands_for_nothing_or_for_two_things_is_refused_with_its_place(
    tmp_path: Path, targets: str, message: str
) -> None:
    with pytest.raises(FileError) as refused:
        KINDS.check(load(tmp_path, targets))
    assert message in str(refused.value)
    assert "plimsoll.yaml:5:" in str(refused.value)
    assert refused.value.hint


def test_what_ran_on_a_context_is_found_by_its_name_in_the_file(tmp_path: Path) -> None:
    load(tmp_path)
    StateDirectory(tmp_path, "factory-7").make()
    found = application_state(tmp_path, "onprem")
    assert found.root == StateDirectory(tmp_path, "factory-7").root
    (tmp_path / "plimsoll.yaml").write_text("not: [an application")
    assert application_state(tmp_path, "factory-7").root == found.root


def test_a_run_by_a_name_of_this_machine_has_the_state_of_this_machine(tmp_path: Path) -> None:
    from plimsoll.engine.preparation import prepare

    prepared = prepare(load(tmp_path, part=", target: here").path, "here")
    assert prepared.state.root == target_of("local", tmp_path, "t").state.root
    assert prepared.plan.target == "local"
