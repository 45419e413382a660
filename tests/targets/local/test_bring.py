"""Bringing a model on this machine: under the name of its format, with its licence and who says so."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.brought import Bring, BringResult
from plimsoll.planning.steps import Ingredient, Step
from plimsoll.targets.local.session import LocalSession
from tests.runtime.model_files import gguf, onnx, safetensors

MODELS = {"onnx": onnx(), "gguf": gguf(), "safetensors": safetensors()}


def brought(target: LocalSession, source: str = "weights.bin", planned: str = "", **settings: str) -> Observation:
    """The end of the step that brings a model as it is now."""
    digest = hashlib.sha256((target.context.directory / source).read_bytes()).hexdigest()
    content = (Ingredient(kind="input", name="source", digest=planned or digest),)
    step = Step(part="writer", key="key", work=Bring(source=source, **settings), ingredients=content)
    return list(target.start(step, 1))[-1]


def result(target: LocalSession) -> BringResult:
    found = target.state.result("key", BringResult)
    assert found
    return found


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_model_gets_the_name_of_its_format(tmp_path: Path, target: LocalSession, kind: str) -> None:
    (tmp_path / "weights.bin").write_bytes(MODELS[kind])
    (tmp_path / "words.json").write_text("{}")
    assert brought(target, tokenizer="words.json").fact["outcome"] == "done"
    found = result(target)
    assert [file.name for file in found.outputs] == [f"model.{kind}", "tokenizer.json"]
    assert found.sha256 == hashlib.sha256(MODELS[kind]).hexdigest()
    assert (tmp_path / "weights.bin").read_bytes() == MODELS[kind]


def test_the_file_s_word_on_the_licence_counts_and_another_one_is_told(tmp_path: Path, target: LocalSession) -> None:
    (tmp_path / "weights.bin").write_bytes(gguf(licence="apache-2.0"))
    brought(target, licence="MIT")
    found = result(target)
    assert (found.licence, found.licence_from) == ("MIT", "the application file")
    assert found.notes == ("the model file names another licence: Apache-2.0",)


def test_what_the_model_says_of_its_licence_counts_where_nobody_else_does(tmp_path: Path, target: LocalSession) -> None:
    (tmp_path / "weights.bin").write_bytes(gguf(licence="apache-2.0"))
    brought(target)
    assert (result(target).licence, result(target).licence_from) == ("Apache-2.0", "the model file")


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        (gguf()[:-9], {}, "the GGUF file is cut off: it has"),
        (b"no model", {}, "this is no model that is known"),
        (gguf(), {"sha256": "0" * 64}, "but the file requires 0000"),
        (gguf(), {"tokenizer": "weights.bin"}, ""),
        (gguf(), {"tokenizer": "words.json"}, "the tokenizer is no JSON object"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_no_retry_helps(
    tmp_path: Path, target: LocalSession, content: bytes, settings: dict[str, str], words: str
) -> None:
    (tmp_path / "weights.bin").write_bytes(content)
    (tmp_path / "words.json").write_text("{")
    end = brought(target, **settings).fact
    assert end["outcome"] == ("failed" if words else "done")
    assert words in end["reason"]
    assert "\n" not in end["reason"]
    assert end["lasting"] is bool(words)
    assert not list(tmp_path.rglob("bring-*")), "nothing is left behind"


def test_a_file_that_changed_after_the_plan_is_not_brought_as_what_was_planned(
    tmp_path: Path, target: LocalSession
) -> None:
    (tmp_path / "weights.bin").write_bytes(gguf())
    end = brought(target, planned="0" * 64).fact
    assert "has changed since the run began" in end["reason"]
