"""What both fronts of the Open Inference Protocol say of the server."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plimsoll import __version__
from plimsoll.runtime.server.served import Answerer

NAME = "plimsoll"
VERSION = __version__
EXTENSIONS = ("binary_tensor_data", "model_repository")
PLATFORMS: Mapping[Answerer, str] = MappingProxyType(
    {
        "onnx": "onnxruntime_onnx",
        "code": "plimsoll_code",
        "index": "plimsoll_index",
        "llm": "plimsoll_llm",
        "assistant": "plimsoll_assistant",
    }
)
"""The platforms of models, as `<runtime>_<format>`: ONNX files, the user's own code, indexes, language models,
assistants."""
