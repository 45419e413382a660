"""Adapters on this machine: what their training finds, what is registered of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="needs the extra plimsoll[serve]")

from plimsoll.kinds.adapters import Base
from plimsoll.kinds.brought import BringResult
from plimsoll.kinds.llm import LlmModel, LlmResult, PreparedLlm, PrepareLlm
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.planning.steps import Step, Work
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.outputs import files_in
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.models import model_registry
from tests.llms.tiny import tiny_adapter, tiny_model

Write = Callable[[Path], object]
OF_SMALL = Base(reference="small", register_key="registered-small")


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def carried(target: LocalSession, part: str, key: str, work: Work) -> dict[str, object]:
    return dict(list(target.start(Step(part=part, key=key, work=work), 1))[-1].fact)


def registered(target: LocalSession, name: str, write: Write, base: Base | None = None) -> dict[str, object]:
    key = f"left-{name}"
    output = target.state.fresh_work(key) / "output"
    write(output)
    target.state.commit(key, TrainResult(outputs=files_in(output)))
    work = Register(model=name, train=f"train/{name}", train_key=key, base=base, served_by_code=True)
    return carried(target, name, f"registered-{name}", work)


def small(target: LocalSession, seed: int = 0) -> ModelVersion:
    assert registered(target, "small", lambda to: tiny_model(to / "model.gguf", seed=seed))["outcome"] == "done"
    return model_registry(target.state).find("small")


def test_a_training_finds_the_files_of_the_model_that_its_adapter_is_of(target: LocalSession) -> None:
    small(target)
    command = "head -c 4 $PLIMSOLL_BASE/model.gguf > $PLIMSOLL_OUTPUT/seen"
    end = carried(target, "style", "trained", TrainGang(command=command, framework="none", base=OF_SMALL))
    assert end["outcome"] == "done"
    assert (target.state.output("trained") / "seen").read_bytes() == b"GGUF"


def test_a_model_that_was_altered_is_no_base(target: LocalSession) -> None:
    version = small(target)
    blob = model_registry(target.state).layout.path(version.files["model.gguf"].digest)
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    end = carried(target, "style", "trained", TrainGang(command="true", framework="none", base=OF_SMALL))
    assert end["outcome"] == "failed"
    assert "model.gguf of small@1" in str(end["reason"])


def test_an_adapter_is_registered_with_the_version_that_it_is_of(target: LocalSession) -> None:
    base = small(target)
    end = registered(target, "style", lambda to: tiny_adapter(to / "adapter.gguf"), OF_SMALL)
    assert end["outcome"] == "done", end["reason"]
    result = target.state.result("registered-style", RegisterResult)
    assert result is not None
    assert result.figure() == "version 1, an adapter of small@1, accepted"
    found = model_registry(target.state).find("style").lineage.base
    assert found is not None
    assert (found.reference, found.digest, found.weights) == ("small@1", base.digest, base.weights)
    assert found.about == "llama, LoRA of rank 4 on 2 tensors"


def cut(to: Path) -> None:
    path = tiny_adapter(to / "adapter.gguf")
    path.write_bytes(path.read_bytes()[:-400])


def two(to: Path) -> None:
    tiny_adapter(to / "a.gguf")
    tiny_adapter(to / "b.gguf")


def peft(to: Path) -> None:
    (to / "adapter_config.json").write_text("{}")
    (to / "adapter_model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda to: (to / "model.onnx").write_bytes(b"x"), "this is not an adapter: it has model.onnx"),
        (lambda to: tiny_model(to / "model.gguf"), "model.gguf is a model and no adapter"),
        (lambda to: tiny_adapter(to / "a.gguf", architecture="qwen2"), "is for qwen2, not for llama"),
        (lambda to: tiny_adapter(to / "a.gguf", wide=48), "as if it were 48 × 48, and the model's is 32 × 32"),
        (two, "this is not an adapter: it has 2 GGUF files"),
        (cut, "the GGUF file is cut off"),
        (peft, "the adapter is in PEFT's format, and small@1 has model.gguf"),
    ],
)
def test_what_is_no_adapter_of_its_model_is_not_registered(target: LocalSession, write: Write, words: str) -> None:
    small(target)
    end = registered(target, "style", write, OF_SMALL)
    assert end["outcome"] == "failed"
    assert end["lasting"] is True
    assert words in str(end["reason"])
    assert "models.style" in str(end["reason"])
    assert not model_registry(target.state).versions("style")


def prepared(target: LocalSession, model: str, adapter: str) -> dict[str, object]:
    llm = PreparedLlm(
        name="writer",
        engine="llama.cpp",
        model=LlmModel(name="writer", reference=model),
        adapter=LlmModel(name="style", reference=adapter),
        context=256,
    )
    return carried(target, "writer", f"llm-{model}-{adapter}", PrepareLlm(llm=llm))


def test_an_adapter_is_refused_beside_a_version_with_other_weights(target: LocalSession) -> None:
    small(target)
    assert registered(target, "style", lambda to: tiny_adapter(to / "adapter.gguf"), OF_SMALL)["outcome"] == "done"
    assert prepared(target, "small@1", "style@1")["outcome"] == "done"
    result = target.state.result("llm-small@1-style@1", LlmResult)
    assert result is not None
    assert result.adapters == ("style@1",)
    # The same shapes, and other weights: llama.cpp would apply it.
    assert registered(target, "other", lambda to: tiny_model(to / "model.gguf", seed=9))["outcome"] == "done"
    end = prepared(target, "other@1", "style@1")
    assert end["outcome"] == "failed"
    assert "the adapter style@1 is of small@1, and writer serves other@1, whose weights are others" in str(
        end["reason"]
    )


def test_an_adapter_that_does_not_say_whose_it_is_is_held_against_the_shapes(target: LocalSession) -> None:
    small(target)
    assert registered(target, "loose", lambda to: tiny_adapter(to / "adapter.gguf"))["outcome"] == "done"
    assert prepared(target, "small@1", "loose@1")["outcome"] == "done"
    assert registered(target, "wide", lambda to: tiny_adapter(to / "adapter.gguf", wide=48))["outcome"] == "done"
    end = prepared(target, "small@1", "wide@1")
    assert end["outcome"] == "failed"
    assert "the adapter wide@1 changes 'blk.0.attn_output.weight' as if it were 48 × 48" in str(end["reason"])


def test_a_brought_adapter_of_another_model_is_another_version(target: LocalSession) -> None:
    small(target)
    assert registered(target, "other", lambda to: tiny_model(to / "model.gguf", seed=9))["outcome"] == "done"
    output = target.state.fresh_work("brought") / "output"
    tiny_adapter(output / "model.gguf")
    target.state.commit("brought", BringResult(outputs=files_in(output), sha256="a" * 64, format="gguf"))
    for number, base in enumerate((OF_SMALL, Base(reference="other", register_key="registered-other"), OF_SMALL)):
        work = Register(model="style", train="bring/style", train_key="brought", source="style.gguf", base=base)
        assert carried(target, "style", f"registered-{number}", work)["outcome"] == "done"
    bases = [version.lineage.base for version in model_registry(target.state).versions("style")]
    assert [base and base.reference for base in bases] == ["small@1", "other@1"]
