"""A `Model` without tensors, for what is not asked by inferences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import BadTensor


class NoTensors:
    """What is known of it. `elsewhere` says where it is asked."""

    elsewhere: ClassVar[str]

    def __init__(self, file: ModelFile) -> None:
        self.path = Path(file.path)
        self.digest = file.digest
        self.spec = ModelSpec(name=file.name, inputs=(), outputs=())

    def check(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Raise BadTensor: it has no tensors."""
        raise BadTensor(self.elsewhere)
