"""What decides whether a batch is scored again."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds import batch
from plimsoll.kinds.table import KINDS
from plimsoll.planning.changes import decisions
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan
from plimsoll.runtime import own_code

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {parts: {source: parts.csv}}
  models: {m: {train: {run: python train.py}}}
  batches: {b: {model: MODEL, input: parts}}
"""


def plan(directory: Path, model: str = "m") -> Plan:
    (directory / "parts.csv").write_text("a\n1\n")
    (directory / "train.py").write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("MODEL", model))
    file = KINDS.load(path)
    facts = TargetFacts(target="local", cpu=2.0, memory=2**30)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts)


@pytest.mark.parametrize("model", ["m", "m@1"])
def test_rows_that_older_code_has_scored_are_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    before = plan(tmp_path, model)
    monkeypatch.setattr(batch, "digest_of_scorer", lambda: "sha256:newer")

    after = plan(tmp_path, model)

    known = {step.name: step.ingredients for step in before.steps}
    made = {one.step: one for one in decisions(after, known, [step.key for step in before.steps])}
    assert made["score/b"].why == "code changed: the scorer"
    assert [step.key for step in before.steps][:-1] == [step.key for step in after.steps][:-1]


def test_a_batch_is_scored_again_for_other_labels_and_not_for_none(tmp_path: Path) -> None:
    def key(labels: str) -> str:
        return plan(tmp_path, f"m, {labels}" if labels else "m").step("score/b").key

    keys = [key(""), key("label: a"), key("label: b"), key("label: a, prediction: b")]
    assert len(set(keys)) == len(keys)


def test_a_prediction_without_a_label_is_a_mistake(tmp_path: Path) -> None:
    plan(tmp_path, "m, prediction: a")
    with pytest.raises(FileError, match="prediction is compared with a label, and there is none"):
        KINDS.check(KINDS.load(tmp_path / "plimsoll.yaml"), "local")


def test_the_code_of_the_scorer_is_what_it_reads_and_computes_with() -> None:
    root = Path(own_code.__file__).parent
    assert all((root / name).exists() for name in own_code._PARTS)
    assert own_code.digest_of_scorer().startswith("sha256:")
