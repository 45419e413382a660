"""Names a model file for what it is by its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.files import open_regular
from plimsoll.runtime.model_formats.adapters import ARCHITECTURE, about_gguf, is_adapter
from plimsoll.runtime.model_formats.gguf import MAGIC, read_gguf
from plimsoll.runtime.model_formats.onnx import may_be_onnx, read_onnx
from plimsoll.runtime.model_formats.reader import BadModelFile, printable
from plimsoll.runtime.model_formats.safetensors import is_safetensors, read_safetensors

Format = Literal["onnx", "gguf", "safetensors"]
FORMATS: tuple[Format, ...] = ("onnx", "gguf", "safetensors")
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"TFL3", "a TFLite model, which has to be converted to ONNX"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, perhaps of Keras, which has to be converted to ONNX"),
    (0, b"PK\x03\x04", "a zip archive, perhaps of PyTorch: a pickle in it runs code when it is loaded"),
    (0, b"\x80\x02", "a Python pickle, which runs code when it is loaded"),
    (0, b"\x80\x03", "a Python pickle, which runs code when it is loaded"),
    (0, b"\x80\x04", "a Python pickle, which runs code when it is loaded"),
    (0, b"\x80\x05", "a Python pickle, which runs code when it is loaded"),
    (0, b"version https://git-lfs", "a pointer of Git LFS and not the file itself"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
)


class ModelFile(Struct, frozen=True, kw_only=True):
    """A model file: its format, the licence that it names itself, its figures, and its architecture or producer."""

    format: Format
    licence: str = ""
    about: str = ""
    metrics: Mapping[str, float] = {}


def recognise(path: Path, name: str) -> ModelFile:
    """Read the header of a file that `name` names to people. Raises TargetError for a file that is no model."""
    try:
        size = path.stat().st_size
        with open_regular(path) as file:
            begin = file.read(64)
            file.seek(0)
            if begin.startswith(MAGIC):
                gguf = read_gguf(file, size)
                architecture = printable(str(gguf.values.get(ARCHITECTURE, "")), 80)
                return ModelFile(
                    format="gguf",
                    licence=printable(str(gguf.values.get("general.license", "")), 200),
                    about=about_gguf(gguf) if is_adapter(gguf) else architecture,
                    metrics={"bytes": float(size), "parameters": float(gguf.parameters)},
                )
            if is_safetensors(begin):
                tensors = read_safetensors(file, size)
                return ModelFile(
                    format="safetensors",
                    licence=printable(tensors.metadata.get("license", ""), 200),
                    about=printable(tensors.metadata.get("format", ""), 80),
                    metrics={"bytes": float(size), "parameters": float(tensors.parameters)},
                )
            if may_be_onnx(begin):
                onnx = read_onnx(file, size)
                return ModelFile(format="onnx", about=printable(onnx.producer, 80), metrics={"bytes": float(size)})
    except BadModelFile as error:
        raise TargetError(str(error), where=name, hint="fetch it again, or name another file", lasting=True) from error
    except OSError as error:
        raise TargetError(f"the model cannot be read: {error.strerror}", where=name) from error
    what = next((words for place, magic, words in _OTHERS if begin[place : place + len(magic)] == magic), "")
    raise TargetError(
        f"this is {what or 'no model that is known'}",
        where=name,
        hint="bring an ONNX, GGUF or safetensors file; they are known by their bytes",
        lasting=True,
    )
