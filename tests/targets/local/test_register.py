"""What of a training's files is the model, and what only tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.kinds.batch import Score
from plimsoll.kinds.brought import BringResult
from plimsoll.kinds.register import Register
from plimsoll.kinds.train import TrainResult
from plimsoll.planning.steps import InputFile, Step
from plimsoll.runtime.outputs import files_in
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.models import model_registry


def test_the_lineage_of_a_brought_model_has_no_credentials_of_its_address(
    tmp_path: Path, target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    output = target.state.fresh_work("brought") / "output"
    (output / "model.gguf").write_bytes(b"GGUF")
    target.state.commit("brought", BringResult(outputs=files_in(output), sha256="a" * 64, format="gguf"))
    address = "https://me:hunter2hunter2@site.test/m.gguf?X-Amz-Signature=0123456789abcdef"
    work = Register(model="writer", train="bring/writer", train_key="brought", source=address)
    end = list(target.start(Step(part="writer", key="registered", work=work), 1))[-1]
    assert end.fact["outcome"] == "done"
    lineage = model_registry(target.state).find("writer").lineage
    assert lineage.origin
    assert lineage.origin.source == "https://[removed]@site.test/m.gguf"
    assert lineage.data == {"source": "a" * 64}


def test_figures_curves_and_predictions_are_no_part_of_the_model(
    tmp_path: Path, target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    output = target.state.fresh_work("trained") / "output"
    for name in ("model.onnx", "words.txt", "metrics.json", "metrics.jsonl", "predictions.csv"):
        (output / name).write_text("{}")
    target.state.commit("trained", TrainResult(outputs=files_in(output)))
    work = Register(model="triage", train="train/triage", train_key="trained", command="python train.py")
    end = list(target.start(Step(part="triage", key="registered", work=work), 1))[-1]
    assert end.fact["outcome"] == "done"
    assert sorted(model_registry(target.state).find("triage").files) == ["model.onnx", "words.txt"]


def test_a_batch_of_a_model_that_is_not_onnx_is_refused_with_what_to_do_instead(
    tmp_path: Path, target: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    output = target.state.fresh_work("trained") / "output"
    (output / "model.joblib").write_bytes(b"\x80\x04")
    target.state.commit("trained", TrainResult(outputs=files_in(output)))
    work = Register(model="triage", train="train/triage", train_key="trained", command="python train.py")
    list(target.start(Step(part="triage", key="registered", work=work), 1))
    rows = InputFile(step="fetch/rows", name="rows", key="rows", file="rows.csv")
    score = Score(batch="b", model="triage", input=rows, register_key="registered")
    end = list(target.start(Step(part="b", key="scored", work=score), 1))[-1]
    assert end.fact["outcome"] == "failed"
    assert end.fact["lasting"] is True
    assert "a batch scores ONNX models, and triage@1 has model.joblib" in end.fact["reason"]
    assert "plimsoll predict SERVICE --input FILE" in end.fact["reason"]
