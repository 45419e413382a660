"""llama.cpp: GGUF, on processors and accelerators; here by the package xllamacpp."""

from __future__ import annotations

from plimsoll.llms.engines.engine import Engine

ENGINE = Engine(
    name="llama.cpp",
    formats=("gguf",),
    settings=frozenset({"model", "engine", "context", "slots", "replicas", "routing", "adapter", "adapters", "limits"}),
    most_slots=256,
    extra="llms",
    process="plimsoll.llms.engines.llama_cpp_process",
    ends_streams_alone=True,
)
