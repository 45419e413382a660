"""Where the drift reference of a model is kept: known without reading it, by what it was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path


def reference_file(directory: Path, model: str, data: str) -> Path:
    """The file of a model digest and a data digest."""
    name = hashlib.sha256(f"{model}\n{data}".encode()).hexdigest()
    return directory / f"{name}.json"
