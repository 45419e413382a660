"""A sweep by `import plimsoll`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import plimsoll

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: swept}
spec:
  parameters: {rate: 0.1, way: fast}
  models:
    m: {train: {run: "%s train.py"}, accept: {score: ">= 0.5"}}
"""
TRAIN = """\
import json, os, pathlib
rate, way = float(os.environ["PLIMSOLL_PARAM_RATE"]), os.environ["PLIMSOLL_PARAM_WAY"]
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
(output / "metrics.json").write_text(json.dumps({"score": 1 - abs(rate - 0.3)}))
(output / "model.txt").write_text(f"{rate} {way}")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> plimsoll.Application:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "plimsoll.yaml").write_text(FILE % sys.executable)
    (tmp_path / "train.py").write_text(TRAIN)
    return plimsoll.load(tmp_path)


@pytest.mark.slow
def test_a_sweep_registers_its_best_trial_and_a_run_with_its_values_finds_it_done(app: plimsoll.Application) -> None:
    seen: list[plimsoll.Observation] = []
    swept = app.sweep(grid={"rate": [0.1, 0.3], "way": ["slow"]}, tag="best", on_event=seen.append)
    assert swept.history.state == "done"
    assert [(trial.parameters["rate"], trial.accepted) for trial in swept.sweep.ranked()] == [(0.3, True), (0.1, True)]
    assert swept.version is not None
    assert swept.version.reference == "m@1"
    assert seen
    assert app.trials() == app.trials(swept.history.run) == swept.sweep
    best = swept.sweep.best
    assert best is not None
    assert [each.runs for each in app.plan(parameters=best.parameters).decisions] == [False, False]
    assert app.run(parameters=best.parameters).state == "done"
    # A run that is no sweep does not hide the newest one.
    assert app.trials() == swept.sweep


def test_a_sweep_that_does_not_fit_the_file_is_told_before_anything_runs(app: plimsoll.Application) -> None:
    for arguments, text in (
        ({"grid": {"rat": [1]}}, "no parameter 'rat'"),
        ({"grid": {"way": ["a,b"]}}, "the value 'a,b' of 'way' has a comma"),
        ({"grid": {"rate": [1]}, "parameters": {"rate": 2}}, "'rate=2' is searched"),
        ({}, "no parameter to search"),
        ({"grid": {"rate": [1]}, "grace": 2.0}, "only for --stop-early"),
    ):
        with pytest.raises(plimsoll.FileError, match=text):
            app.sweep(**arguments)
    with pytest.raises(plimsoll.PlimsollError, match="there is no sweep yet"):
        app.trials()
