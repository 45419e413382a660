"""What both fronts of the Open Inference Protocol say of the server."""

from __future__ import annotations

from plimsoll import __version__

NAME = "plimsoll"
VERSION = __version__
EXTENSIONS = ("binary_tensor_data", "model_repository")
ONNX_RUNTIME, OWN_CODE = "onnxruntime_onnx", "plimsoll_code"
"""The platforms of models, as `<runtime>_<format>`: ONNX files, and the user's own code."""


def platform(own_code: bool) -> str:
    """The platform of a model."""
    return OWN_CODE if own_code else ONNX_RUNTIME
