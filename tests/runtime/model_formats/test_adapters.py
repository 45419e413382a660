"""Whether an adapter fits a model, by the names and shapes of its tensors."""

from __future__ import annotations

import pytest

from plimsoll.runtime.model_formats.adapters import about_gguf, misfit_of_gguf, misfit_of_peft
from plimsoll.runtime.model_formats.gguf import GgufHeader
from plimsoll.runtime.model_formats.safetensors import SafetensorsHeader

Shapes = dict[str, tuple[int, ...]]
Q, EMBEDDING, EXPERTS = "blk.0.attn_q.weight", "token_embd.weight", "blk.0.ffn_up_exps.weight"
MODEL: Shapes = {Q: (32, 48), EMBEDDING: (32, 200), EXPERTS: (32, 64, 8), "blk.0.attn_norm.weight": (32,)}
FITTING: Shapes = {f"{Q}.lora_a": (32, 4), f"{Q}.lora_b": (4, 48)}


def header(tensors: Shapes, **values: str) -> GgufHeader:
    return GgufHeader(version=3, values={"general.architecture": "llama", **values}, tensors=tensors, needed=0)


def misfit(tensors: Shapes, **values: str) -> str:
    return misfit_of_gguf(header(tensors, **values), header(MODEL))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {f"{EMBEDDING}.lora_a": (4, 200), f"{EMBEDDING}.lora_b": (4, 32)},
        {f"{EXPERTS}.lora_a": (32, 4, 8), f"{EXPERTS}.lora_b": (4, 64, 8)},
        {"blk.0.attn_norm.weight": (32,)},
    ],
)
def test_what_llama_cpp_applies_fits(more: Shapes) -> None:
    assert misfit({**FITTING, **more}) == ""


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "has no tensors of LoRA"),
        ({f"{Q}.lora_a": (32, 4)}, "only one of its two factors"),
        ({f"{Q}.lora_a": (32, 4), f"{Q}.lora_b": (8, 48)}, "do not fit each other: 32 × 4 and 8 × 48"),
        ({f"{Q}.lora_a": (64, 4), f"{Q}.lora_b": (4, 48)}, "as if it were 64 × 48, and the model's is 32 × 48"),
        ({f"{Q}.lora_a": (32, 4), f"{Q}.lora_b": (4, 32)}, "as if it were 32 × 32, and the model's is 32 × 48"),
        ({"blk.9.attn_q.weight.lora_a": (32, 4), "blk.9.attn_q.weight.lora_b": (4, 48)}, "the model does not have"),
        ({f"{EXPERTS}.lora_a": (32, 4), f"{EXPERTS}.lora_b": (4, 64)}, "as if it were 32 × 64, and"),
        ({f"{EMBEDDING}.lora_a": (32, 4), f"{EMBEDDING}.lora_b": (4, 200)}, "do not fit each other"),
        ({"blk.0.attn_norm.weight.lora_a": (32, 4), "blk.0.attn_norm.weight.lora_b": (4, 1)}, "which is no matrix"),
        ({f"{Q}.lora_a": (32, 0), f"{Q}.lora_b": (0, 48)}, "or by none"),
        ({**FITTING, "head.bias": (3,)}, "has a tensor 'head.bias', which is none of LoRA"),
        ({**FITTING, "\x1b[2Jhead": (3,)}, "has a tensor '?[2Jhead', which"),
    ],
)
def test_what_does_not_fit_is_said_with_its_tensor(tensors: Shapes, words: str) -> None:
    assert words in misfit(tensors)


def test_another_architecture_or_kind_of_adapter_is_said() -> None:
    assert misfit_of_gguf(header(FITTING, **{"general.architecture": "qwen2"}), header(MODEL)) == (
        "is for qwen2, not for llama"
    )
    assert "llama.cpp applies LoRA" in misfit_of_gguf(header(FITTING, **{"adapter.type": "ia3"}), header(MODEL))


def test_an_adapter_is_described_by_its_rank_and_its_tensors() -> None:
    assert about_gguf(header(FITTING)) == "llama, LoRA of rank 4 on 1 tensors"
    both = {**FITTING, f"{EMBEDDING}.lora_a": (8, 200), f"{EMBEDDING}.lora_b": (8, 32)}
    assert about_gguf(header(both)) == "llama, LoRA of rank 4 to 8 on 2 tensors"


def test_an_adapter_of_peft_is_held_against_the_names_of_its_model() -> None:
    named = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    model = {"model.layers.0.self_attn.q_proj.weight": (48, 32)}

    def fits(a: tuple[int, ...], b: tuple[int, ...]) -> str:
        tensors = {named.format("A"): a, named.format("B"): b}
        return misfit_of_peft(SafetensorsHeader(metadata={}, parameters=0, tensors=tensors), model)

    assert fits((4, 32), (48, 4)) == ""
    assert "as if it were 64 × 48" in fits((4, 64), (48, 4))
    assert "do not fit each other" in fits((4, 32), (48, 8))
