from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.engine.preparation import prepare
from plimsoll.errors import FileError
from plimsoll.kinds.serve import SAMPLES_EXPLANATIONS, Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes.lacks import lacks
from plimsoll.targets.memory import MemoryTarget

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets:
    rows: {run: echo, outputs: [train.parquet, live.csv, notes.txt]}
  models:
    m: {train: {run: echo, inputs: [rows]}}
  services:
    s: {%s}
"""


def planned(directory: Path, service: str, **facts: object) -> Plan:
    (directory / "plimsoll.yaml").write_text(FILE % service)
    found = TargetFacts(target="memory", cpu=4, memory=2**32, **facts)  # type: ignore[arg-type]
    target = MemoryTarget(found, state=StateDirectory(directory, "memory"))
    return prepare(directory / "plimsoll.yaml", target).plan


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("model: m, explain: {background: rows/notes.txt}", "is not a table"),
        ("model: m, explain: {background: rows/other.csv}", "is not among the outputs"),
        ("model: m, explain: {background: rows/live.csv, method: lime}", "method"),
        ("model: m, explain: {background: rows/live.csv, budget: {evaluations: 0}}", "evaluations"),
        ("model: m, explain: {background: rows/live.csv, budget: {time: 0s}}", "takes no time"),
        ("model: m, explain: {}", "background"),
        ("model: m, run: python answer.py, explain: {background: rows/live.csv}", "this one has `run`"),
        ("pipeline: [m], explain: {background: rows/live.csv}", "this one has `pipeline`"),
    ],
)
def test_explanations_that_cannot_be_are_refused_with_their_place(tmp_path: Path, service: str, said: str) -> None:
    (tmp_path / "plimsoll.yaml").write_text(FILE % service)
    with pytest.raises(FileError) as refused:
        KINDS.check(KINDS.load(tmp_path / "plimsoll.yaml"))
    assert said in str(refused.value)
    assert "plimsoll.yaml:10:" in refused.value.where


def test_a_service_is_planned_with_its_background_and_its_budget(tmp_path: Path) -> None:
    plain = planned(tmp_path, "model: m").step("serve/s")
    step = planned(
        tmp_path, "model: m, explain: {background: rows/live.csv, budget: {evaluations: 700, time: 1.5s}}"
    ).step("serve/s")
    assert isinstance(step.work, Serve)
    assert step.work.explain is not None
    assert (step.work.explain.evaluations, step.work.explain.seconds) == (700, 1.5)
    assert step.work.explain.background.file == "live.csv"
    assert "run/rows" in step.needs
    assert step.key != plain.key
    assert "shap" in set(step.work.needed_extras())
    assert "shap" not in set(plain.work.needed_extras())


def test_what_is_missing_for_explanations_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(FileError) as missing:
        planned(tmp_path, "model: m, explain: {background: rows/live.csv}", missing_extras=frozenset({"shap"}))
    assert missing.value.message == "serve/s needs the extra 'shap', which is not installed"
    reason = lacks("")[SAMPLES_EXPLANATIONS]
    with pytest.raises(FileError, match="explains its answers by shap"):
        planned(tmp_path, "model: m, explain: {background: rows/live.csv}", lacks={SAMPLES_EXPLANATIONS: reason})
