"""Parameters: their values, who is given them, and what they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.application.parameters import Parameter, ParameterError, as_text, named_in, with_settings
from plimsoll.engine.preparation import with_parameters
from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS
from plimsoll.planning.changes import decisions
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  parameters: {learning_rate: 0.1, rounds: 50, booster: gbtree, shuffle: true}
  datasets:
    data: {run: python prepare.py, outputs: [x]}
  models:
    m: {train: {run: python train.py --rounds $PLIMSOLL_PARAM_ROUNDS, inputs: [data]}}
"""
PREPARE = 'import os\nshuffle = os.environ["PLIMSOLL_PARAM_SHUFFLE"]\n'
TRAIN = "import settings\n"
SETTINGS = 'import os\nrate = os.environ["PLIMSOLL_PARAM_LEARNING_RATE"]\nkind = os.environ["PLIMSOLL_PARAM_BOOSTER"]\n'
FACTS = TargetFacts(target="local", cpu=2.0, memory=2**30)


def plan(directory: Path, *settings: str, text: str = FILE) -> Plan:
    (directory / "plimsoll.yaml").write_text(text)
    for name, code in {"prepare.py": PREPARE, "train.py": TRAIN, "settings.py": SETTINGS}.items():
        (directory / name).write_text(code)
    file = with_parameters(KINDS.load(directory / "plimsoll.yaml"), settings)
    KINDS.check(file)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), FACTS)


def test_a_step_is_given_the_parameters_that_its_command_or_code_names(tmp_path: Path) -> None:
    made = plan(tmp_path, "learning_rate=0.3")
    assert made.step("run/data").work.parameters == {"PLIMSOLL_PARAM_SHUFFLE": "true"}  # type: ignore[attr-defined]
    assert made.step("train/m").work.parameters == {  # type: ignore[attr-defined]
        "PLIMSOLL_PARAM_LEARNING_RATE": "0.3",
        "PLIMSOLL_PARAM_ROUNDS": "50",
        "PLIMSOLL_PARAM_BOOSTER": "gbtree",
    }


def test_another_value_changes_the_steps_that_are_given_it_and_is_the_reason(tmp_path: Path) -> None:
    before = plan(tmp_path)
    after = plan(tmp_path, "rounds=60")
    assert before.step("run/data").key == after.step("run/data").key
    ingredients = {step.name: step.ingredients for step in before.steps}
    done = [step.name for step in before.steps if step.key in {each.key for each in after.steps}]
    why = {each.step: each.why for each in decisions(after, ingredients, done)}
    assert why["run/data"] == "cached"
    assert why["train/m"] == "parameter changed: rounds"


def test_a_parameter_that_nothing_names_is_an_error_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no command uses the parameter 'lost'") as raised:
        plan(tmp_path, text=FILE.replace("rounds: 50", "lost: 1, rounds: 50"))
    assert str(raised.value.where).endswith("plimsoll.yaml:5:36")
    assert "PLIMSOLL_PARAM_LOST" in raised.value.hint


def test_two_parameters_of_one_variable_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="would share the variable PLIMSOLL_PARAM_LEARNING_RATE"):
        plan(tmp_path, text=FILE.replace("rounds: 50", "learning-rate: 1, rounds: 50"))


def test_a_command_without_code_and_one_that_makes_names_up_are_given_all(tmp_path: Path) -> None:
    text = FILE.replace("python prepare.py", "made-elsewhere --fast")
    made = plan(tmp_path, text=text)
    assert len(made.step("run/data").work.parameters) == 4  # type: ignore[attr-defined]
    (tmp_path / "any.py").write_text('import os\nvalue = os.environ["PLIMSOLL_PARAM_" + "X"]\n')
    assert named_in("python any.py", [tmp_path / "any.py"], ["a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rounds=2.5", "takes a whole number, got '2.5'"),
        ("rounds=1_000", "takes a whole number"),
        ("rounds=", "takes a whole number, got ''"),
        ("learning_rate=high", "takes a number, got 'high'"),
        ("learning_rate=nan", "takes a number, got 'nan'"),
        ("learning_rate=1e999", "takes a number, got '1e999'"),
        ("shuffle=yes", "takes true or false, got 'yes'"),
        ("round=3", "the file has no parameter 'round'"),
        ("rounds", "has no '='"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_by_name(setting: str, message: str) -> None:
    defaults: dict[str, Parameter] = {"learning_rate": 0.1, "rounds": 50, "booster": "gbtree", "shuffle": True}
    with (
        pytest.raises(ParameterError, match="parameter") if "=" in setting else pytest.raises(ParameterError) as raised
    ):
        with_settings(defaults, [setting])
    assert message in str(raised.value)
    assert raised.value.hint


@given(st.one_of(st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_a_value_that_is_set_as_it_is_shown_is_the_same(value: Parameter) -> None:
    default: Parameter = type(value)()
    assert with_settings({"p": default}, [f"p={as_text(value)}"]) == {"p": value}


@given(st.text())
def test_text_is_taken_as_it_is(value: str) -> None:
    assert with_settings({"p": "default"}, [f"p={value}"]) == {"p": value}
