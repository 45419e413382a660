"""What a server serves, as a file: it is read at the start and again at SIGHUP, and is replaced as a whole.

The local target writes it, `plimsoll promote` changes the weights in it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import TargetError
from plimsoll.runtime.server.traffic import Share


class ModelFile(Struct, frozen=True, kw_only=True):
    """One version of a model: an ONNX file, and the digest that it is known by."""

    name: str
    version: str
    path: str
    digest: str = ""


class Batching(Struct, frozen=True, kw_only=True):
    """How a model's requests are put together.

    `rows` is the most of one batch, 1 switches batching off. `wait` is the most seconds that a request waits for
    others. `budget` is the most seconds from a request to its answer that waiting may lead to; `None` sets none.
    """

    rows: int = 1
    wait: float = 0.0
    budget: float | None = None

    def latest_start(self, arrived: float, expected: float) -> float:
        """When a batch must start whose oldest request arrived then and which takes `expected` seconds."""
        wait = self.wait if self.budget is None else min(self.wait, self.budget - expected)
        return arrived + max(0.0, wait)


@decodable
class ServiceFile(Struct, frozen=True, kw_only=True):
    """Models, how the traffic of each is shared, and how its requests are batched, both by the model's name.

    A model without shares answers with its newest version.
    """

    models: tuple[ModelFile, ...]
    traffic: dict[str, tuple[Share, ...]] = {}
    batching: dict[str, Batching] = {}


def read_service_file(path: Path) -> ServiceFile:
    """The file's content. Raises TargetError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServiceFile)
    except OSError as error:
        raise TargetError(f"the service file cannot be read: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"this is no service file: {error}", where=str(path)) from error


def in_directory(directory: Path) -> tuple[ModelFile, ...]:
    """The models of a directory, each at `<name>/<version>/model.onnx`, versions whole numbers. Raises TargetError."""
    if not directory.is_dir():
        raise TargetError("there is no such directory", where=str(directory))
    found = []
    for path in sorted(directory.glob("*/*/model.onnx")):
        version = path.parent.name
        if version.isdigit():
            found.append(ModelFile(name=path.parent.parent.name, version=version, path=str(path)))
    return tuple(found)


def newest(versions: list[str]) -> str:
    """The version that answers when none is named: numbers by size, before words by the alphabet."""
    return max(versions, key=lambda version: (version.isdigit(), int(version) if version.isdigit() else 0, version))
