"""Adapters in the file: whose they are, where they may be named, and what a plan makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.adapters import Base
from plimsoll.kinds.register import Register
from plimsoll.kinds.table import KINDS
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan

HEAD = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n"
TRAIN = "train: {run: python lora.py}"
STYLE = f"kind: adapter, base: small, {TRAIN}"


def planned(directory: Path, style: str = STYLE, small: str = "source: small.gguf", rest: str = "") -> Plan:
    for name in ("small", "other", "style"):
        (directory / f"{name}.gguf").write_bytes(name.encode())
    (directory / "lora.py").write_text("print(1)\n")
    path = directory / "plimsoll.yaml"
    models = f"  models:\n    small: {{{small}}}\n    other: {{source: other.gguf}}\n    style: {{{style}}}\n"
    path.write_text(f"{HEAD}{models}{rest}")
    file = KINDS.load(path)
    KINDS.check(file)
    facts = TargetFacts(target="local", cpu=2.0, memory=2**30)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts)


@pytest.mark.parametrize(
    ("style", "place", "message"),
    [
        (f"kind: adapter, {TRAIN}", "8:19", "does not say which model it is of"),
        (f"base: small, {TRAIN}", "8:13", "`base` is for an adapter, and 'style' is a model"),
        (f"kind: model, base: small, {TRAIN}", "8:26", "`base` is for an adapter"),
        (f"kind: adapter, base: smal, {TRAIN}", "8:34", "there is no model 'smal'"),
        (f"kind: adapter, base: style, {TRAIN}", "8:34", "cannot be an adapter of itself"),
        (f"kind: lora, base: small, {TRAIN}", "8:19", "adapter"),
        (f"kind: adapter, base: [small], {TRAIN}", "8:34", "expected"),
        ("kind: adapter, base: small", "8:5", "neither `train` nor `source`"),
    ],
)
def test_a_mistake_in_an_adapter_is_named_with_its_place(tmp_path: Path, style: str, place: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        planned(tmp_path, style)
    assert message in str(raised.value)
    assert f"plimsoll.yaml:{place}" in raised.value.where
    assert raised.value.hint


def test_an_adapter_of_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="'small' is itself an adapter"):
        planned(tmp_path, small="kind: adapter, base: other, source: small.gguf")


@pytest.mark.parametrize(
    ("rest", "place", "message"),
    [
        ("  services: {s: {model: style}}\n", "9:25", "'style' is an adapter of 'small', and answers nothing by itself"),
        ("  services: {s: {model: style@2}}\n", "9:25", "answers nothing by itself"),
        ("  services: {s: {model: [{model: style, weight: 100}]}}\n", "9:34", "answers nothing by itself"),
        ("  services: {s: {pipeline: [style]}}\n", "9:29", "answers nothing by itself"),
        ("  batches: {b: {model: style, input: rows/a.csv}}\n", "9:24", "answers nothing by itself"),
        ("  llms: {w: {model: style}}\n", "9:21", "answers nothing by itself"),
        ("  llms: {w: {model: other, adapter: style}}\n", "9:37", "'style' is of 'small', and this language model is 'other'"),
        ("  llms: {w: {model: other@2, adapter: style@1}}\n", "9:39", "is of 'small', and this language model is 'other'"),
        ("  llms: {w: {model: other, adapters: [style]}}\n", "9:39", "is of 'small', and this language model is 'other'"),
    ],
)  # fmt: skip
def test_an_adapter_stands_only_beside_its_own_model(tmp_path: Path, rest: str, place: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        planned(tmp_path, rest=rest)
    assert message in str(raised.value)
    assert f"plimsoll.yaml:{place}" in raised.value.where
    assert "small" in raised.value.hint


def test_an_embedder_that_is_an_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.md").write_text("a")
    rest = "  datasets: {pages: {source: pages}}\n  indexes: {i: {documents: pages, embed: style}}\n"
    with pytest.raises(FileError, match="answers nothing by itself"):
        planned(tmp_path, rest=rest)


def test_code_of_ones_own_may_be_given_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("def predict(inputs): return inputs\n")
    rest = "  services: {s: {model: style, run: python serve.py, inputs: {x: {datatype: FP32, shape: [1]}}}}\n"
    assert planned(tmp_path, rest=rest).step("serve/s").needs


def test_an_adapter_is_trained_after_its_model_is_registered_and_served_after_that(tmp_path: Path) -> None:
    plan = planned(tmp_path, rest="  llms: {w: {model: small, adapter: style}}\n")
    train, register, llm = (plan.step(name) for name in ("train/style", "register/style", "llm/w"))
    small = plan.step("register/small")
    assert isinstance(train.work, TrainGang)
    assert isinstance(register.work, Register)
    assert train.work.base == register.work.base == Base(reference="small", register_key=small.key)
    assert "register/small" in train.needs
    assert set(register.needs) == {"train/style", "register/small"}
    assert set(llm.needs) == {"register/small", "register/style"}


def test_what_the_model_is_decides_whether_its_adapter_is_trained_again_and_a_bound_does_not(tmp_path: Path) -> None:
    def key(**settings: str) -> str:
        return planned(tmp_path, **settings).step("train/style").key

    same = key()
    assert key(small="source: small.gguf, accept: {bytes: '> 1'}") == same
    assert key(small="source: other.gguf") != same
    assert key(style=f"kind: adapter, base: other, {TRAIN}") != same
    assert key(style=f"kind: adapter, base: small@2, {TRAIN}") != same


def test_a_pinned_base_needs_no_step(tmp_path: Path) -> None:
    train = planned(tmp_path, f"kind: adapter, base: small@2, {TRAIN}").step("train/style")
    assert isinstance(train.work, TrainGang)
    assert train.work.base == Base(reference="small@2")
    assert "register/small" not in train.needs


def test_an_adapter_that_is_brought_is_registered_for_the_model_that_the_file_says(tmp_path: Path) -> None:
    def register(base: str) -> str:
        return planned(tmp_path, f"kind: adapter, base: {base}, source: style.gguf").step("register/style").key

    step = planned(tmp_path, "kind: adapter, base: small, source: style.gguf").step("register/style")
    assert step.needs == ("bring/style", "register/small")
    assert register("small") != register("other")
