"""Frameworks whose models are no ONNX files, served by functions: real ones, through the command as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TORCH = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: torch}
spec:
  models: {line: {train: {run: PYTHON train.py}}}
  services:
    line: {model: line, run: PYTHON serve.py, inputs: {x: {datatype: FP32, shape: [-1, 3]}}}
"""
TRAIN = """\
import os, pathlib, torch
model = torch.nn.Linear(3, 1)
with torch.no_grad():
    model.weight[:] = torch.tensor([[1.0, 2.0, 3.0]])
    model.bias[:] = 0.5
torch.save(model.state_dict(), pathlib.Path(os.environ["PLIMSOLL_OUTPUT"], "line.pt"))
"""
SERVE = """\
import torch
model = torch.nn.Linear(3, 1)
def load(directory):
    model.load_state_dict(torch.load(f"{directory}/line.pt", weights_only=True))
def predict(inputs):
    with torch.inference_mode():
        return {"y": model(torch.from_numpy(inputs["x"]))[:, 0].numpy()}
"""


def plimsoll(directory: Path, *arguments: str) -> Any:
    """What the command prints as JSON; the test fails with its words when it does."""
    told = subprocess.run(
        [sys.executable, "-m", "plimsoll", *arguments],
        cwd=directory,
        env={**os.environ, "XDG_CONFIG_HOME": str(directory / "config")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return json.loads(told.stdout)


@pytest.mark.series
def test_scikit_learn_and_lightgbm_with_pandas_are_served_alone_and_in_a_chain(tmp_path: Path) -> None:
    directory = tmp_path / "predictors"
    shutil.copytree(ROOT / "examples" / "predictors", directory, ignore=shutil.ignore_patterns(".plimsoll"))
    told = plimsoll(directory, "run", "--json")
    assert told["models"]["wear"]["metrics"]["accuracy"] > 0.9
    assert told["services"]["repair"]["model"] == "repair@1"
    graded = plimsoll(directory, "predict", "wear", "--input", "pumps.json")["outputs"]
    assert [each["data"] for each in graded[:2]] == [["fine", "worn"], [100.0, 1900.0]]
    (priced,) = plimsoll(directory, "predict", "repair", "--input", "pumps.json")["outputs"]
    fine, worn = priced["data"]
    # A fine pump costs 50; a worn one a fifth of its hours more.
    assert abs(fine - 50) < 20
    assert abs(worn - 430) < 30


def test_torch_is_served_by_the_python_that_has_it(tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    found = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True, check=False).returncode == 0
    if not found:
        pytest.skip("needs torch and numpy for /usr/bin/python3 (apt-get install python3-torch python3-numpy)")
    for name, text in {"plimsoll.yaml": TORCH.replace("PYTHON", python), "train.py": TRAIN, "serve.py": SERVE}.items():
        (tmp_path / name).write_text(text)
    plimsoll(tmp_path, "run", "--json")
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 0, 0, 1, 1, 1]}
    (tmp_path / "x.json").write_text(json.dumps({"inputs": [tensor]}))
    (answer,) = plimsoll(tmp_path, "predict", "line", "--input", "x.json")["outputs"]
    assert answer["data"] == [1.5, 6.5]
