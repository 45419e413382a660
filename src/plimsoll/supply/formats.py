"""Formats that hold data and name no code, and what in them would run all the same: templates, operators, classes."""

from __future__ import annotations

import ast
import re
import struct
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.model_formats.gguf import MAGIC, read_gguf
from plimsoll.runtime.model_formats.onnx import may_be_onnx, read_onnx
from plimsoll.runtime.model_formats.reader import BadModelFile
from plimsoll.runtime.model_formats.safetensors import is_safetensors, read_safetensors
from plimsoll.supply.findings import Finding
from plimsoll.supply.onnx_names import NamesFound, names_in_onnx

if TYPE_CHECKING:
    from plimsoll.supply.pickles import Bytes

NOT_MINE = Finding(what="", verdict="unknown")
"""The file is of no format that is judged here."""
MOST_JSON = 64 << 20
MOST_NUMPY_HEADER = 1 << 16
_ESCAPES = re.compile(
    r"__\w+__|\battr\s*\(|\bcycler\b|\bjoiner\b|\blipsum\b|\bself\s*\.\s*_|\\x5f|\\u005f", re.IGNORECASE
)
"""What templates use to get from a value to the functions of Python; none of it is needed to write a conversation."""
_DATA = ((0, b"PAR1", "Parquet"), (0, b"\x89PNG\r\n", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"ARROW1", "Arrow"))
_STANDARD = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"}
    | {"com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"}
)


def judge_data_format(file: Bytes, size: int, begin: bytes, name: str, directory: Path | None) -> Finding:
    """The finding of a file of a data format, or NOT_MINE. `directory` is where it lies, None inside an archive."""
    stream = cast("IO[bytes]", file)
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if begin.startswith(MAGIC):
            values = read_gguf(stream, size).values
            templates = [str(text) for key, text in values.items() if key.startswith("tokenizer.chat_template")]
            return _of_templates(name, templates)
        if is_safetensors(begin):
            read_safetensors(stream, size)
            return Finding(what=name, verdict="clean")
        if suffix == ".onnx" or may_be_onnx(begin):
            return _onnx(stream, size, name, directory)
    except BadModelFile as error:
        if suffix in (".gguf", ".safetensors", ".onnx"):
            return Finding(what=name, verdict="unknown", reasons=(str(error),))
        return NOT_MINE
    if suffix in (".json", ".jinja", ".jinja2"):
        return _text(file, size, name, suffix)
    if begin.startswith(b"\x89HDF\r\n\x1a\n"):
        reason = "HDF5 is not judged: a layer of Keras in it may be code"
        return Finding(what=name, verdict="unknown", reasons=(reason,))
    if any(begin[place : place + len(magic)] == magic for place, magic, _ in _DATA):
        return Finding(what=name, verdict="clean")
    is_ubjson = suffix == ".ubj" and begin.startswith(b"{")
    return Finding(what=name, verdict="clean") if is_ubjson else NOT_MINE


def _onnx(file: IO[bytes], size: int, name: str, directory: Path | None) -> Finding:
    found = names_in_onnx(file, size)
    reasons = [f"it has operators of '{each}', which need a library of code" for each in sorted(_custom(found))]
    absent: list[str] = []
    for location in sorted(found.locations):
        if _leads_out(location, directory):
            reasons.append(f"it reads {location[:200]!r}, which is outside of its directory")
        elif directory is None or not (directory / location).is_file():
            absent.append(f"it reads {location[:200]!r}, which is not there")
    if reasons:
        return Finding(what=name, verdict="unsafe", reasons=tuple(reasons[:20]))
    if not found.locations:
        file.seek(0)
        read_onnx(file, size)
    return Finding(what=name, verdict="unknown" if absent else "clean", reasons=tuple(absent[:20]))


def _custom(found: NamesFound) -> set[str]:
    return found.domains - found.defined - _STANDARD


def _leads_out(location: str, directory: Path | None) -> bool:
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or "\\" in location or "\0" in location or ":" in location:
        return True
    if directory is None:
        return False
    whole = (directory / location).resolve()
    return not whole.is_relative_to(directory.resolve())


def _of_templates(name: str, templates: list[str]) -> Finding:
    for text in templates:
        if found := _ESCAPES.search(text):
            reason = f"its chat template has {found[0]!r}, by which templates reach the functions of Python"
            return Finding(what=name, verdict="unsafe", reasons=(reason,))
    note = (f"{len(templates)} chat template{'s' if len(templates) > 1 else ''}, which the server runs in a sandbox",)
    return Finding(what=name, verdict="clean", notes=note if templates else ())


def _text(file: Bytes, size: int, name: str, suffix: str) -> Finding:
    if size > MOST_JSON:
        return Finding(what=name, verdict="unknown", reasons=(f"it has more than {MOST_JSON} bytes",))
    content = file.read(size)
    if suffix != ".json":
        return _of_templates(name, [content.decode(errors="replace")])
    try:
        document = msgspec.json.decode(content)
    except UNREADABLE:
        return Finding(what=name, verdict="unknown", reasons=("it is no JSON",))
    if not isinstance(document, dict):
        return Finding(what=name, verdict="clean")
    if document.get("auto_map"):
        reason = "its auto_map names classes of a repository, whose code is loaded with the model"
        return Finding(what=name, verdict="unsafe", reasons=(reason,))
    if b'"Lambda"' in content and re.search(rb'"class_name"\s*:\s*"Lambda"', content):
        reason = "it has a Lambda layer of Keras, which is byte code of Python"
        return Finding(what=name, verdict="unsafe", reasons=(reason,))
    found = document.get("chat_template")
    several = [each.get("template") for each in found if isinstance(each, dict)] if isinstance(found, list) else [found]
    return _of_templates(name, [str(each) for each in several if each])


def numpy_holds_objects(file: Bytes, size: int) -> bool | None:
    """Whether an array of numpy has objects, which are a pickle where the file then stands; None if unreadable."""
    head = file.read(8)
    length = {1: 2, 2: 4, 3: 4}.get(head[6] if len(head) > 6 else 0)
    if length is None:
        return None
    packed = file.read(length)
    if len(packed) != length:
        return None
    (count,) = struct.unpack("<H" if length == 2 else "<I", packed)
    if not 0 < count <= min(size, MOST_NUMPY_HEADER):
        return None
    try:
        header = ast.literal_eval(file.read(count).decode("utf-8" if head[6] == 3 else "latin-1"))
        return _has_object(header["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        return None


def _has_object(described: object, depth: int = 0) -> bool:
    """Whether a description of a type has an object in it; fields are (name, type) or (name, type, shape)."""
    if isinstance(described, str):
        return "O" in described
    if isinstance(described, list | tuple) and depth < 10:
        fields = [field[1] if isinstance(field, tuple) and len(field) > 1 else field for field in described]
        return any(_has_object(field, depth + 1) for field in fields)
    return True
