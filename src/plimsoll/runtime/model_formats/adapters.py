"""LoRA adapters, in GGUF or as PEFT writes them, and whether one fits a model: its names and shapes. Pure.

Sources: llama.cpp's llama-adapter.cpp and convert_lora_to_gguf.py; the checkpoint format in PEFT's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from plimsoll.runtime.model_formats.gguf import GgufHeader
from plimsoll.runtime.model_formats.reader import printable
from plimsoll.runtime.model_formats.safetensors import SafetensorsHeader

ADAPTER = "adapter"
"""`general.type` of a GGUF file with an adapter."""
ARCHITECTURE = "general.architecture"
LONGEST = 80
"""Characters of a name that a sentence has."""
_LORA = "lora"
_PASSED_OVER = "_norm.weight"
"""The end of the names of tensors that llama.cpp does not apply."""
_EMBEDDING = "token_embd.weight"
_PEFT_PREFIX = "base_model.model."
Shape = tuple[int, ...]


class Pair(Struct, frozen=True, kw_only=True):
    """The shapes of the two factors of a change, with what goes in first; None for one that is not there."""

    a: Shape | None = None
    b: Shape | None = None


def is_adapter(header: GgufHeader) -> bool:
    """Whether a GGUF file says that it is an adapter."""
    return header.values.get("general.type") == ADAPTER


def about_gguf(adapter: GgufHeader) -> str:
    """What an adapter in GGUF is, for people."""
    return _about(_pairs(adapter.tensors), _word(adapter, ARCHITECTURE))


def about_peft(adapter: SafetensorsHeader) -> str:
    """What an adapter as PEFT writes it is, for people."""
    return _about(_pairs_of_peft(adapter), "PEFT")


def misfit_of_gguf(adapter: GgufHeader, model: GgufHeader) -> str:
    """Why an adapter cannot be applied to a model, in words that follow "the adapter"; empty when it can."""
    kind = _word(adapter, "adapter.type") or _LORA
    if kind != _LORA:
        return f"is of the kind {kind}, and llama.cpp applies LoRA"
    theirs, ours = _word(adapter, ARCHITECTURE), _word(model, ARCHITECTURE)
    if theirs != ours:
        return f"is for {theirs or 'another architecture'}, not for {ours or 'this one'}"
    odd = sorted(
        name for name in adapter.tensors if not name.endswith((".lora_a", ".lora_b")) and _PASSED_OVER not in name
    )
    if odd:
        return f"has a tensor '{printable(odd[0], LONGEST)}', which is none of LoRA"
    return _misfit(_pairs(adapter.tensors), model.tensors)


def misfit_of_peft(adapter: SafetensorsHeader, model: Mapping[str, Shape]) -> str:
    """The same for PEFT's safetensors; `model` has the shapes of all its files."""
    return _misfit(_pairs_of_peft(adapter), {name: shape[::-1] for name, shape in model.items()})


def _pairs_of_peft(adapter: SafetensorsHeader) -> dict[str, Pair]:
    """The pairs by the names of the model's tensors. Safetensors names the outer dimension first, GGUF the inner."""
    factors: dict[tuple[str, str], Shape] = {}
    for name, shape in adapter.tensors.items():
        for mark, which in ((".lora_A.", "a"), (".lora_B.", "b")):
            before, there, _ = name.removeprefix(_PEFT_PREFIX).partition(mark)
            if there:
                factors[f"{before}.weight", which] = shape[::-1]
    names = sorted({name for name, _ in factors})
    return {name: Pair(a=factors.get((name, "a")), b=factors.get((name, "b"))) for name in names}


def _word(header: GgufHeader, name: str) -> str:
    return printable(str(header.values.get(name, "")), LONGEST)


def _pairs(tensors: Mapping[str, Shape]) -> dict[str, Pair]:
    names = {name[: -len(".lora_a")] for name in tensors if name.endswith((".lora_a", ".lora_b"))}
    return {name: Pair(a=tensors.get(f"{name}.lora_a"), b=tensors.get(f"{name}.lora_b")) for name in sorted(names)}


def _misfit(pairs: Mapping[str, Pair], model: Mapping[str, Shape]) -> str:
    if not pairs:
        return "has no tensors of LoRA: it would change nothing"
    for name, pair in sorted(pairs.items()):
        called = f"'{printable(name, LONGEST)}'"
        a, b = pair.a, pair.b
        if a is None or b is None:
            return f"has of {called} only one of its two factors"
        whole = model.get(name)
        if whole is None:
            return f"changes {called}, which the model does not have"
        if min(map(len, (a, b, whole))) < 2 or 0 in (*a, *b):
            return f"changes {called}, which is no matrix, or by none"
        # llama.cpp looks up rows of the embedding, so there the factors are the other way round.
        embedding = name.endswith(_EMBEDDING)
        if (a[0] if embedding else a[1]) != b[0] or a[2:] != b[2:]:
            return f"has factors of {called} that do not fit each other: {_text(a)} and {_text(b)}"
        made = (b[1], a[1], *a[2:]) if embedding else (a[0], b[1], *a[2:])
        if made != whole:
            return f"changes {called} as if it were {_text(made)}, and the model's is {_text(whole)}"
    return ""


def _about(pairs: Mapping[str, Pair], of: str) -> str:
    ranks = sorted({pair.b[0] for pair in pairs.values() if pair.b})
    rank = " to ".join(map(str, dict.fromkeys((ranks[0], ranks[-1])))) if ranks else "0"
    return f"{of + ', ' if of else ''}LoRA of rank {rank} on {len(pairs)} tensors"


def _text(shape: Shape) -> str:
    return " × ".join(map(str, shape))
