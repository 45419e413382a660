"""Arrays and records in files that several processes map, so that they share one copy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]  # Any: arrays of numbers of every width

Record = TypeVar("Record", bound=msgspec.Struct)


def write_array(directory: Path, name: str, values: Array) -> None:
    """Write an array as `<name>.npy`."""
    import numpy as np

    np.save(directory / f"{name}.npy", values, allow_pickle=False)


def map_array(directory: Path, name: str) -> Array:
    """Map the array that `write_array` wrote. An empty file cannot be mapped, so an empty array is read."""
    import numpy as np

    path = directory / f"{name}.npy"
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        found = np.load(path, allow_pickle=False)
    return found


class Records(Generic[Record]):
    """Records as JSON lines with the position of each, of which only those that are asked for are decoded."""

    def __init__(self, directory: Path, name: str, shape: type[Record]) -> None:
        """Map the files. Raises ValueError when they do not belong together."""
        self._starts = map_array(directory, f"{name}.starts")
        self._bytes = _map_bytes(directory / f"{name}.jsonl")
        self._decoder = msgspec.json.Decoder(shape)
        if len(self._bytes) != self._starts[-1]:
            raise ValueError(f"{name}.jsonl has {len(self._bytes)} bytes, not {self._starts[-1]}")

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> Record:
        return self._decoder.decode(bytes(self._bytes[int(self._starts[row]) : int(self._starts[row + 1])]))


def write_records(directory: Path, name: str, records: Iterable[msgspec.Struct]) -> int:
    """Write records as they come; returns their number."""
    import numpy as np

    encoder, starts, position = msgspec.json.Encoder(), [0], 0
    with (directory / f"{name}.jsonl").open("wb") as file:
        for record in records:
            position += file.write(encoder.encode(record) + b"\n")
            starts.append(position)
    write_array(directory, f"{name}.starts", np.asarray(starts, dtype=np.int64))
    return len(starts) - 1


class Texts:
    """A file of UTF-8 of which parts are read."""

    def __init__(self, path: Path) -> None:
        self._bytes = _map_bytes(path)

    def __len__(self) -> int:
        return len(self._bytes)

    def between(self, start: int, end: int) -> str:
        """The text from byte `start` to byte `end`."""
        return bytes(self._bytes[start:end]).decode("utf-8", errors="replace")


def _map_bytes(path: Path) -> np.ndarray[Any, Any]:
    import numpy as np

    if path.stat().st_size == 0:
        return np.empty(0, dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r")
