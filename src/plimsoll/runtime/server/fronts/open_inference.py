"""What both fronts of the Open Inference Protocol say of the server."""

from __future__ import annotations

from plimsoll import __version__

NAME = "plimsoll"
VERSION = __version__
EXTENSIONS = ("binary_tensor_data", "model_repository")
ONNX_RUNTIME, OWN_CODE, LANGUAGE_MODEL = "onnxruntime_onnx", "plimsoll_code", "plimsoll_llm"
"""The platforms of models, as `<runtime>_<format>`: ONNX files, the user's own code, and language models."""


def platform(own_code: bool, language_model: bool = False) -> str:
    """The platform of a model."""
    if language_model:
        return LANGUAGE_MODEL
    return OWN_CODE if own_code else ONNX_RUNTIME
