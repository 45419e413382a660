"""What both fronts of the Open Inference Protocol say of the server."""

from __future__ import annotations

from plimsoll import __version__

NAME = "plimsoll"
VERSION = __version__
EXTENSIONS = ("binary_tensor_data", "model_repository")
PLATFORM = "onnxruntime_onnx"
"""The platform of every model, as `<runtime>_<format>`."""
