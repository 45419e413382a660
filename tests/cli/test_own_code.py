"""Models that are no ONNX, served by the user's own code, through the command as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .conftest import Plimsoll, answer, write

# This Python has numpy, which the one on PATH may lack.
PYTHON = sys.executable
APPLICATION = f"""\
  models:
    line: {{train: {{run: {PYTHON} train.py}}, accept: {{accuracy: ">= 0.8"}}}}
  services:
    line: {{model: line, run: {PYTHON} serve.py, inputs: {{x: {{datatype: FP64, shape: [-1, 2]}}}}}}
    chain:
      pipeline:
        - {{run: {PYTHON} serve.py, model: line, inputs: {{x: {{datatype: FP64, shape: [-1, 2]}}}}}}
        - {{run: {PYTHON} name.py, inputs: {{y: {{datatype: FP64, shape: [-1]}}}}}}
"""
TRAIN = """\
import json, os, pathlib
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
(output / "line.joblib").write_text(json.dumps([1.0, 2.0]))
(output / "metrics.json").write_text('{"accuracy": 0.9}')
"""
SERVE = """\
import json, pathlib
def load(directory):
    global weights
    weights = json.loads(pathlib.Path(directory, "line.joblib").read_text())
def predict(inputs):
    return {"y": inputs["x"] @ weights}
"""
NAME = """\
import numpy as np
def predict(inputs):
    return {"name": np.where(inputs["y"] > 1, "high", "low")}
"""


@pytest.mark.slow
def test_a_pickle_is_served_by_a_function_and_in_a_pipeline_and_again_when_the_code_changes(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    write(tmp_path, APPLICATION, train_py=TRAIN, serve_py=SERVE, name_py=NAME)
    told = answer(plimsoll("run", "--json"))
    assert told["state"] == "done", told
    assert {name: each["model"] for name, each in told["services"].items()} == {"line": "line@1", "chain": "chain@1"}
    assert not any("notes" in step for step in told["steps"])

    assert {step["cached"] for step in answer(plimsoll("run", "--json"))["steps"]} == {True}
    (tmp_path / "name.py").write_text(NAME.replace("high", "above"))
    again = {step["name"]: step["cached"] for step in answer(plimsoll("run", "--json"))["steps"]}
    assert again == {"train/line": True, "register/line": True, "serve/line": True, "serve/chain": False}


def test_a_model_without_onnx_is_told_how_to_serve_it_when_it_is_registered(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, '  models: {line: {train: {run: python train.py}, accept: {accuracy: ">= 0.8"}}}\n', train_py=TRAIN)
    ended = plimsoll("run")
    assert ended.returncode == 0, ended.stderr
    assert "line.joblib is no ONNX file" in ended.stdout
    assert "run: python serve.py" in ended.stdout
    assert "joblib.load" in ended.stdout


@pytest.mark.slow
def test_a_failing_script_is_told_with_its_line(tmp_path: Path, plimsoll: Plimsoll) -> None:
    inputs = "inputs: {x: {datatype: FP64, shape: [-1]}}"
    services = f"  services:\n    s: {{run: {PYTHON} serve.py, {inputs}}}\n"
    write(tmp_path, services, serve_py="def predict(inputs):\n    return {'y': nothing}\n")
    told = answer(plimsoll("run", "--json"))
    assert told["state"] == "failed"
    assert "serve.py:2: NameError: name 'nothing' is not defined" in json.dumps(told)
