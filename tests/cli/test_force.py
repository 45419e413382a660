"""`--force STEP`: a step is carried out again, and what needs it follows by its key as ever."""

from __future__ import annotations

from pathlib import Path

import plimsoll

from .conftest import Plimsoll, write

DATASETS = """\
  datasets:
    small: {run: python make.py, outputs: [x.txt]}
    other: {run: python make.py, inputs: [small], outputs: [x.txt]}
"""
MAKE = """\
import os, pathlib
tried = pathlib.Path("tried")
tried.write_text((tried.read_text() if tried.exists() else "") + "x")
pathlib.Path(os.environ["PLIMSOLL_OUTPUT"], "x.txt").write_text(tried.read_text())
"""


def test_a_forced_step_runs_again_and_what_needs_it_keeps_its_result(tmp_path: Path) -> None:
    write(tmp_path, DATASETS, make_py=MAKE)
    with plimsoll.load(tmp_path) as application:
        assert application.run().state == "done"
        planned = {each.step: (each.runs, each.why) for each in application.plan(force=["small"]).decisions}
        assert planned == {"run/small": (True, "forced"), "run/other": (False, "cached")}
        forced = application.run(force=["run/small"])
        assert [(step.name, step.cached) for step in forced.steps] == [("run/small", False), ("run/other", True)]
        assert (tmp_path / ".plimsoll/latest/run/small/x.txt").read_text() == "xxx"
        assert [step.cached for step in application.run().steps] == [True, True]


def test_what_cannot_be_forced_is_told_before_anything_runs(tmp_path: Path, plimsoll: Plimsoll) -> None:
    (tmp_path / "requirements.txt").write_text("")
    write(tmp_path, "  environment: {requirements: requirements.txt}\n" + DATASETS, make_py=MAKE)
    unknown = plimsoll("run", "other", "--force", "othr")
    assert unknown.returncode == 2
    assert "--force: there is no step 'othr'" in unknown.stderr
    assert "run/other" in unknown.stderr
    shared = plimsoll("plan", "--force", "environment/requirements.txt")
    assert shared.returncode == 2
    assert "shared by all applications" in shared.stderr
    assert not (tmp_path / "tried").exists()
