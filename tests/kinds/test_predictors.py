"""Services of the user's own code in the file: what a command offers, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.application.predictors import function_script
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS

FUNCTION = "def predict(inputs):\n    return inputs\n"
SERVER = "import os\ndef predict(inputs):\n    return inputs\nport = os.environ['PORT']\n"
INPUTS = "inputs: {x: {datatype: FP64, shape: [-1, 4]}}"
FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  models: {m: {train: {run: python train.py}}}
  services:
    s: SERVICE
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in {
        "f.py": FUNCTION,
        "s.py": SERVER,
        "train.py": "",
        "broken.py": "def predict(:",
        "t.csv": "a\n1\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def check(directory: Path, service: str) -> None:
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("SERVICE", service))
    KINDS.check(KINDS.load(path))


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("python f.py", "f.py"),
        ("python3.11 -O f.py --top 3", "f.py"),
        ("python s.py", ""),
        ("python f.py --port $PORT", ""),
        ("python -m f", ""),
        ("./f.py", ""),
        ("LOG=1 python f.py", ""),
        ("python train.py", ""),
        ("python missing.py", ""),
    ],
)
def test_a_script_with_predict_that_names_no_port_is_a_function(directory: Path, command: str, script: str) -> None:
    assert function_script(command, directory) == script


@pytest.mark.parametrize(
    "text",
    [
        "from f import predict\n",
        "import f\npredict = f.predict\n",
        "try:\n    import f\nexcept OSError:\n    pass\nelse:\n    from f import predict\n",
    ],
)
def test_predict_may_come_from_elsewhere(directory: Path, text: str) -> None:
    (directory / "g.py").write_text(text)
    assert function_script("python g.py", directory) == "g.py"


@pytest.mark.parametrize(
    "service",
    [
        f"{{run: python f.py, {INPUTS}}}",
        f"{{model: m, run: python f.py, {INPUTS}}}",
        f"{{model: [{{model: m@1, weight: 90}}, {{model: m@2, weight: 10}}], run: python f.py, {INPUTS}}}",
        "{run: python s.py}",
        f"{{pipeline: [{{run: python f.py, {INPUTS}}}, m, {{run: python s.py, model: m@1}}]}}",
    ],
)
def test_code_of_ones_own_is_taken(directory: Path, service: str) -> None:
    check(directory, service)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("{run: python broken.py}", "the script cannot be read: broken.py:1: "),
        ("{}", "the service has nothing that answers"),
        ("{run: python f.py}", "the inputs of predict() in f.py are not declared"),
        (f"{{run: python s.py, {INPUTS}}}", "`inputs` is for a function; a server tells its own in its metadata"),
        (f"{{model: m, {INPUTS}}}", "`inputs` is for the command in `run`, which is missing"),
        ("{model: m, code: [f.py]}", "`code` is for the command in `run`, which is missing"),
        ("{model: m, pipeline: [m]}", "a pipeline has no `model` beside it"),
        ("{pipeline: [n]}", "there is no model 'n'"),
        ("{pipeline: [{run: python s.py, model: n}]}", "there is no model 'n'"),
        ("{pipeline: [{run: python f.py}]}", "the inputs of predict() in f.py are not declared"),
    ],
)
def test_what_cannot_answer_is_refused_with_its_place(directory: Path, service: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        check(directory, service)
    assert message in caught.value.message
    assert "plimsoll.yaml:7:" in caught.value.where


def test_an_unknown_datatype_is_refused(directory: Path) -> None:
    with pytest.raises(FileError, match="FP128"):
        check(directory, "{run: python f.py, inputs: {x: {datatype: FP128, shape: [1]}}}")
