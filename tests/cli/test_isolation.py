"""`isolation` from the file to the plan: what is said, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.runtime.isolation.bubblewrap import sandboxing

from .conftest import Plimsoll, answer, write

CAN = pytest.mark.skipif(not sandboxing().program, reason=f"{sandboxing().problem}; {sandboxing().remedy}")
STEPS = """\
  datasets:
    usual: {run: "echo 1 > $PLIMSOLL_OUTPUT/x", outputs: [x]}
    open: {run: "echo 1 > $PLIMSOLL_OUTPUT/x", outputs: [x], isolation: none}
    shut: {run: "cat secret", inputs: [usual], outputs: [x], isolation: {network: false, reads: [../secret]}}
"""


@CAN
def test_a_plan_says_which_steps_are_isolated_and_by_what(tmp_path: Path, plimsoll: Plimsoll) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (tmp_path / "secret").write_text("x")
    write(app, STEPS)
    told = plimsoll("plan", "--file", str(app / "plimsoll.yaml"))
    assert told.returncode == 0, told.stderr
    assert "isolated run/shut: strict, by bubblewrap" in told.stdout
    assert "isolated run/usual: process, by bubblewrap" in told.stdout
    assert "not isolated run/open: isolation: none" in told.stdout
    steps = answer(plimsoll("plan", "--json", "--file", str(app / "plimsoll.yaml")))["steps"]
    assert {each["name"]: each["isolation"] for each in steps} == {
        "run/usual": "process",
        "run/open": "none",
        "run/shut": "strict",
    }


@CAN
def test_a_level_changes_how_a_step_runs_and_not_whether_it_runs_again(tmp_path: Path, plimsoll: Plimsoll) -> None:
    step = '  datasets:\n    a: {run: "echo 1 > $PLIMSOLL_OUTPUT/x", outputs: [x], isolation: LEVEL}\n'
    write(tmp_path, step.replace("LEVEL", "none"))
    assert plimsoll("run").returncode == 0
    write(tmp_path, step.replace("LEVEL", "strict"))
    assert answer(plimsoll("run", "--json"))["steps"][0]["cached"] is True


def test_where_nothing_can_isolate_a_plan_says_so_and_a_strict_step_is_refused(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    (programs / "bwrap").chmod(0o755)
    path = f"{programs}:/usr/bin:/bin"
    write(tmp_path, '  datasets:\n    a: {run: "true", outputs: [x]}\n')
    told = plimsoll("plan", PATH=path)
    assert "not isolated run/a: " in told.stdout
    assert "No permissions to create a new namespace" in told.stdout
    write(tmp_path, '  datasets:\n    a: {run: "true", outputs: [x], isolation: strict}\n')
    ended = plimsoll("run", PATH=path)
    assert ended.returncode == 2
    assert "plimsoll.yaml:6:47: run/a asks for isolation: strict" in ended.stderr
    assert "allow user namespaces" in ended.stderr
    assert not (tmp_path / ".plimsoll" / "results").exists()


@pytest.mark.parametrize(
    ("isolation", "message"),
    [
        ("tight", "unknown value"),
        ("{level: process, network: true}", "`network` is for `level: strict`"),
        ("{level: none, reads: [x]}", "`reads` is for `level: strict`"),
        ("{level: process, writes: [x]}", "`writes` is for `level: strict`"),
        ("{level: process, runtimeClass: gvisor}", "`runtimeClass` is for `level: strict`"),
        ("{raeds: [x]}", "did you mean 'reads'?"),
        ("{reads: x}", "write [x]"),
        ("{processes: 2}", "at least 8"),
        ("{temporary: much}", "expected bytes of its private /tmp"),
        ("{runtimeClass: Not/One}", "the RuntimeClass of its pods"),
        ("{variables: [A=b]}", "the name of a variable"),
        ("true", "expected a word or a mapping"),
        ("[strict]", "expected a word or a mapping"),
    ],
)
def test_a_mistake_in_isolation_is_told_with_its_place(tmp_path: Path, isolation: str, message: str) -> None:
    told = refused(tmp_path, f'  datasets:\n    a: {{run: "true", outputs: [x], isolation: {isolation}}}\n')
    assert "plimsoll.yaml:6:" in told
    assert message in told


@pytest.mark.parametrize(
    ("parts", "line", "message"),
    [
        ("  services:\n    s: {model: m, isolation: strict}\n", 8, "`isolation` is for a service's own code"),
        ("  services:\n    s: {run: 'python -m http.server $PORT', isolation: strict}\n", 8, "has no network"),
        ("  datasets:\n    a: {source: x.csv, isolation: strict}\n", 8, "`isolation` is for a command"),
    ],
)
def test_what_cannot_be_kept_apart_is_refused(tmp_path: Path, parts: str, line: int, message: str) -> None:
    told = refused(tmp_path, "  models:\n    m: {train: {run: 'true'}}\n" + parts)
    assert f"plimsoll.yaml:{line}:" in told
    assert message in told


def refused(directory: Path, parts: str) -> str:
    """Why a file is not taken, with the place."""
    (directory / "x.csv").write_text("a\n")
    write(directory, parts)
    with pytest.raises(FileError) as told:
        KINDS.check(KINDS.load(directory / "plimsoll.yaml"))
    return str(told.value)


@CAN
def test_a_path_that_is_let_in_and_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    write(tmp_path, '  datasets:\n    a: {run: "touch ran", outputs: [x], isolation: {reads: [nowhere]}}\n')
    ended = plimsoll("run")
    assert ended.returncode == 2
    assert "plimsoll.yaml:6:" in ended.stderr
    assert "isolation of run/a lets in nowhere, which does not exist" in ended.stderr
    assert not (tmp_path / "ran").exists()
