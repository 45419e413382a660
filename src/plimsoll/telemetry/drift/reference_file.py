"""The path of a model's drift reference, which the digests of model and data decide."""

from __future__ import annotations

import hashlib
from pathlib import Path


def reference_file(directory: Path, model: str, data: str) -> Path:
    """The path of the reference of a model digest and a data digest."""
    name = hashlib.sha256(f"{model}\n{data}".encode()).hexdigest()
    return directory / f"{name}.json"
