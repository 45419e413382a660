"""Text Generation Inference: safetensors on accelerators, in a container."""

from __future__ import annotations

from plimsoll.llms.engines.engine import Engine

ENGINE = Engine(
    name="tgi",
    formats=("safetensors",),
    settings=frozenset({"model", "engine", "context", "slots", "limits"}),
)
