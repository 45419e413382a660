"""A language model of some hundred kilobytes that llama.cpp loads: drawn weights, a token for each byte.

What it says is nonsense, the same for the same seed. Everything around it is real.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from plimsoll.runtime.tensors import Array

EMBEDDING, FEED, HEADS, CONTEXT = 32, 64, 2, 2048
SPECIAL = ("<unk>", "<s>", "</s>")
SPACE = "▁"
"""How this sort of vocabulary writes a space."""
VOCABULARY = len(SPECIAL) + 256 + 1
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_UINT32, _FLOAT, _TEXT, _ARRAY, _INT32, _BOOL = 4, 6, 8, 9, 5, 7
ALIGNMENT = 32


def tiny_model(path: Path, *, seed: int = 0, context: int = CONTEXT, template: str = TEMPLATE) -> Path:
    """Write the model."""
    draw = np.random.default_rng(seed)

    def weights(rows: int, columns: int) -> Array:
        return draw.normal(0, 0.4, (rows, columns)).astype(np.float32)

    ones = np.ones(EMBEDDING, np.float32)
    tensors = {
        "token_embd.weight": weights(VOCABULARY, EMBEDDING),
        "output_norm.weight": ones,
        "output.weight": _printable(weights(VOCABULARY, EMBEDDING)),
        "blk.0.attn_norm.weight": ones,
        **{f"blk.0.attn_{name}.weight": weights(EMBEDDING, EMBEDDING) for name in ("q", "k", "v", "output")},
        "blk.0.ffn_norm.weight": ones,
        "blk.0.ffn_gate.weight": weights(FEED, EMBEDDING),
        "blk.0.ffn_up.weight": weights(FEED, EMBEDDING),
        "blk.0.ffn_down.weight": weights(EMBEDDING, FEED),
    }
    values = [
        _text("general.architecture", "llama"),
        _text("general.name", "tiny"),
        _text("general.license", "Apache-2.0"),
        _number("llama.vocab_size", VOCABULARY),
        _number("llama.context_length", context),
        _number("llama.embedding_length", EMBEDDING),
        _number("llama.block_count", 1),
        _number("llama.feed_forward_length", FEED),
        _number("llama.rope.dimension_count", EMBEDDING // HEADS),
        _number("llama.attention.head_count", HEADS),
        _value("llama.attention.layer_norm_rms_epsilon", _FLOAT, struct.pack("<f", 1e-5)),
        _text("tokenizer.ggml.model", "llama"),
        _array("tokenizer.ggml.tokens", _TEXT, [_bare(each) for each in _tokens()]),
        _array("tokenizer.ggml.scores", _FLOAT, [struct.pack("<f", 0.0)] * VOCABULARY),
        _array("tokenizer.ggml.token_type", _INT32, [struct.pack("<i", each) for each in (2, 3, 3, *[6] * 256, 1)]),
        _number("tokenizer.ggml.bos_token_id", 1),
        _number("tokenizer.ggml.eos_token_id", 2),
        _number("tokenizer.ggml.unknown_token_id", 0),
        _value("tokenizer.ggml.add_space_prefix", _BOOL, b"\0"),
        _value("tokenizer.ggml.add_bos_token", _BOOL, b"\0"),
        _text("tokenizer.chat_template", template),
    ]
    return _write(path, values, tensors)


def tiny_adapter(
    path: Path, *, seed: int = 1, architecture: str = "llama", wide: int = EMBEDDING, strength: float = 1.0
) -> Path:
    """Write a LoRA adapter for it, strong enough to change what it says; not with a strength of 0."""
    draw = np.random.default_rng(seed)
    tensors = {
        "blk.0.attn_output.weight.lora_a": draw.normal(0, 1, (4, wide)).astype(np.float32),
        "blk.0.attn_output.weight.lora_b": draw.normal(0, strength, (wide, 4)).astype(np.float32),
        "output.weight.lora_a": draw.normal(0, 1, (4, EMBEDDING)).astype(np.float32),
        "output.weight.lora_b": _printable(draw.normal(0, strength, (VOCABULARY, 4)).astype(np.float32)),
    }
    values = [
        _text("general.architecture", architecture),
        _text("general.type", "adapter"),
        _text("adapter.type", "lora"),
        _value("adapter.lora.alpha", _FLOAT, struct.pack("<f", 8.0)),
    ]
    return _write(path, values, tensors)


def _printable(weights: Array) -> Array:
    """Weights of the output with which it says small letters alone, and does not end by itself."""
    first = len(SPECIAL) + ord("a")
    letters = weights[first : first + 26] * 3
    weights[:] = 0
    weights[first : first + 26] = letters
    return weights


def _tokens() -> list[str]:
    return [*SPECIAL, *(f"<0x{each:02X}>" for each in range(256)), SPACE]


def _bare(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _value(name: str, kind: int, content: bytes) -> bytes:
    return _bare(name) + struct.pack("<I", kind) + content


def _text(name: str, text: str) -> bytes:
    return _value(name, _TEXT, _bare(text))


def _number(name: str, number: int) -> bytes:
    return _value(name, _UINT32, struct.pack("<I", number))


def _array(name: str, kind: int, items: list[bytes]) -> bytes:
    return _value(name, _ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(items))


def _write(path: Path, values: list[bytes], tensors: dict[str, Array]) -> Path:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)) + b"".join(values)
    place, data = 0, b""
    for name, array in tensors.items():
        shape = array.shape[::-1]
        head += _bare(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, place)
        content = array.tobytes()
        data += content + bytes(-len(content) % ALIGNMENT)
        place = len(data)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path
