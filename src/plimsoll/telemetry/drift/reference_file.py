"""The path of a model's drift reference, which the digests of model and data decide, and the model of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable


def reference_file(directory: Path, model: str, data: str) -> Path:
    """The path of the reference of a model digest and a data digest."""
    name = hashlib.sha256(f"{model}\n{data}".encode()).hexdigest()
    return directory / f"{name}.json"


@decodable
class _Model(Struct, frozen=True):
    model: str


def model_of_reference(path: Path) -> str | None:
    """The digest of the model that a reference is of; None for a file that is no reference."""
    try:
        return msgspec.json.decode(path.read_bytes().partition(b"\n")[2], type=_Model).model
    except (*UNREADABLE, OSError):
        return None
