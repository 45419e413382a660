"""`plimsoll runs`, a run of some steps, and parameters, by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.cli.options import run_command

from .conftest import Plimsoll, answer, write

DATASETS = """\
  parameters: {size: 3}
  datasets:
    small: {run: python make.py, outputs: [x.txt]}
    other: {run: python other.py, inputs: [small], outputs: [y.txt]}
    apart: {run: python other.py, outputs: [y.txt]}
"""
MAKE = """\
import json, os, pathlib
size = int(os.environ["PLIMSOLL_PARAM_SIZE"])
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
(output / "x.txt").write_text("x" * size)
(output / "metrics.json").write_text(json.dumps({"size": size}))
"""
OTHER = 'import os, pathlib\npathlib.Path(os.environ["PLIMSOLL_OUTPUT"], "y.txt").write_text("y")\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, DATASETS, make_py=MAKE, other_py=OTHER)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("directory")
def test_runs_are_listed_shown_and_compared_by_number(plimsoll: Plimsoll) -> None:
    assert plimsoll("run", "other").returncode == 0
    assert plimsoll("run", "run/small", "--set", "size=5").returncode == 0
    listed = plimsoll("runs").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["RUN", "2", "1"]
    assert "size=5" in listed[1]
    assert "size 5" in listed[1]
    shown = plimsoll("runs", "1").stdout
    assert "parameter size = 3" in shown
    assert "run/other" in shown
    assert "run/apart" not in shown, "it was not asked for"
    compared = answer(plimsoll("runs", "1", "2", "--json"))
    assert compared["parameters"] == {"size": [3, 5]}
    assert compared["figures"] == {"small size": [3.0, 5.0]}
    assert compared["changed"] == {"data": [], "code": [], "command": [], "environment": [], "settings": []}


@pytest.mark.slow
@pytest.mark.usefixtures("directory")
def test_what_is_not_there_is_named_with_what_is(plimsoll: Plimsoll) -> None:
    unknown = plimsoll("run", "smal")
    assert unknown.returncode == 2
    assert "there is no step 'smal'" in unknown.stderr
    assert "run/small" in unknown.stderr
    assert plimsoll("run", "small").returncode == 0
    missing = plimsoll("runs", "7")
    assert missing.returncode != 0
    assert "there is no run '7'" in missing.stderr
    assert "size" in plimsoll("plan", "--set", "sise=1").stderr


def test_the_command_that_resumes_has_the_steps_and_the_parameters() -> None:
    resumed = run_command(Path("plimsoll.yaml"), "lab", ("lr=0.1",), ("train/m",))
    assert resumed == "plimsoll run train/m -f plimsoll.yaml --target lab --set lr=0.1"
    assert run_command(Path("a.yaml"), "local") == "plimsoll run -f a.yaml"


def test_a_script_that_is_not_there_is_told_before_anything_runs(directory: Path, plimsoll: Plimsoll) -> None:
    (directory / "make.py").rename(directory / "makes.py")
    planned = plimsoll("plan")
    assert planned.returncode == 2
    assert "plimsoll.yaml:7:18: the script 'make.py' is not there" in planned.stderr
    assert "did you mean 'makes.py'?" in planned.stderr
