"""Small model files, made by hand from the descriptions of their formats."""

from __future__ import annotations

import json
import struct


def text(word: str) -> bytes:
    return struct.pack("<Q", len(word)) + word.encode()


def gguf(licence: str = "apache-2.0", weights: int = 64, alignment: int = 32, parts: int = 1) -> bytes:
    """A GGUF file with a licence, a vocabulary and one tensor of F32."""
    values = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.license") + struct.pack("<I", 8) + text(licence),
        text("general.alignment") + struct.pack("<II", 4, alignment),
        text("split.count") + struct.pack("<IH", 2, parts),
        text("tokenizer.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c"),
        text("tokenizer.scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<fff", 0, 1, 2),
        text("rope.scale") + struct.pack("<If", 6, 1.5),
    ]
    tensor = text("weight") + struct.pack("<IQIQ", 1, weights, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(values)) + b"".join(values) + tensor
    return head + b"\0" * (-len(head) % alignment) + b"\1" * (weights * 4)


def safetensors(licence: str = "mit", weights: int = 6) -> bytes:
    """A safetensors file with a licence and one tensor of F32."""
    tensor = {"dtype": "F32", "shape": [2, weights // 2], "data_offsets": [0, weights * 4]}
    header = json.dumps({"__metadata__": {"license": licence, "format": "pt"}, "w": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + b"\1" * (weights * 4)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes of a message of Protocol Buffers."""
    size, parts = len(content), []
    while size > 127:
        parts.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *parts, size]) + content


def onnx() -> bytes:
    """An ONNX file with an empty graph."""
    return b"\x08\x09" + field(2, b"by-hand") + field(7, b"\x12\x01g" * 100) + field(8, b"\x10\x11")
