"""Inference requests that are valid by construction, with the arrays that they hold. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from msgspec import Struct

from benchmarks.hardening.models import IDENTITIES
from benchmarks.hardening.reference import KINDS, Array

TEXTS = ("", "a", "é", "\U0001f4a9", "a\x00b", '"\\', "\u202e", "x" * 300, "1", "null")
DATATYPES: dict[str, dict[str, str]] = {
    **{datatype.lower(): {"x": datatype} for datatype in IDENTITIES},
    "pair": {"a": "INT64", "b": "BYTES"},
}
"""The inputs of each model that gives them back as `…_out`."""


class Request(Struct, frozen=True):
    """A body for a model. `json_length` is `None` for JSON alone."""

    model: str
    body: bytes
    json_length: int | None
    arrays: dict[str, Array]


def drawn(random: Random, datatype: str, shape: Sequence[int]) -> Array:
    """Values of a datatype, the extreme ones often."""
    count = int(np.prod(shape))
    kind = np.dtype(KINDS[datatype])
    values: list[Any]
    if kind.kind == "O":
        values = [random.choice(TEXTS) for _ in range(count)]
    elif kind.kind == "b":
        values = [random.random() < 0.5 for _ in range(count)]
    elif kind.kind == "f":
        limits = np.finfo(kind)
        edges = [float(limits.max), float(limits.min), float(limits.tiny), 0.0, -0.0, 1.0]
        values = [random.choice(edges) if random.random() < 0.3 else random.gauss(0, 100) for _ in range(count)]
    else:
        low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        values = [random.choice((low, high, 0, random.randint(low, high))) for _ in range(count)]
    array: Array = np.array(values, dtype=kind).reshape(shape)
    return array


def made(random: Random, model: str | None = None) -> Request:
    """A request to one of the identity models: each tensor in JSON, flat or nested, or in binary."""
    model = model or random.choice(list(DATATYPES))
    tensors, arrays, tail = [], {}, b""
    for name, datatype in DATATYPES[model].items():
        shape = (random.choice((0, 1, 1, 2, 7)), random.choice((0, 1, 3, 20)))
        array = arrays[name] = drawn(random, datatype, shape)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
        if random.random() < 0.5:
            raw = packed(array)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            tail += raw
        elif random.random() < 0.5 and array.size:
            tensor["data"] = array.tolist()
        else:
            tensor["data"] = array.ravel().tolist()
        tensors.append(tensor)
    request: dict[str, Any] = {"inputs": tensors}
    if random.random() < 0.3:
        request["id"] = random.choice(TEXTS)
    if random.random() < 0.3:
        request["parameters"] = {"binary_data_output": random.random() < 0.5}
    if random.random() < 0.3:
        request["outputs"] = [
            {"name": f"{name}_out", **({"parameters": {"binary_data": random.random() < 0.5}} if coin else {})}
            for name in DATATYPES[model]
            for coin in [random.random() < 0.5]
        ]
    head = json.dumps(request, ensure_ascii=random.random() < 0.5).encode()
    binary = any("data" not in tensor for tensor in tensors)
    return Request(model, head + tail, len(head) if binary else None, arrays)


def packed(array: Array) -> bytes:
    """The little-endian bytes of an array; texts follow their lengths."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    encoded = [str(value).encode() for value in array.ravel()]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def head_of(request: Request, length: int | None, *lines: str) -> bytes:
    """The head of a request; without a length its body is chunked."""
    found = [f"POST /v2/models/{request.model}/infer HTTP/1.1", "Host: 127.0.0.1", *lines]
    found.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    if request.json_length is not None:
        found.append(f"Inference-Header-Content-Length: {request.json_length}")
    return "\r\n".join([*found, "", ""]).encode()


def chunked(random: Random, body: bytes) -> list[bytes]:
    """A body in chunks of any size, with extensions and trailers as the protocol allows them."""
    pieces = []
    while body:
        size = min(len(body), random.choice((1, 2, 7, 100, 5000)))
        digits = f"{size:x}" if random.random() < 0.5 else f"{size:04X}"
        extension = random.choice(("", "", ";a=b", ";a", ';a="b"'))
        pieces.append(f"{digits}{extension}\r\n".encode() + body[:size] + b"\r\n")
        body = body[size:]
    trailer = b"X-Checksum: 1\r\n" if random.random() < 0.2 else b""
    pieces.append(b"0\r\n" + trailer + b"\r\n")
    return pieces


def in_pieces(random: Random, raw: bytes, most: int = 6) -> list[bytes]:
    """The same bytes in several pieces."""
    cuts = sorted(random.randrange(len(raw) + 1) for _ in range(random.randrange(most)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if start < end]
