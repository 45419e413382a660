"""The journal of a run: one observation a line, appended only, and on the disk before the next step starts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.encoding import json_for_people
from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation


class Journal:
    """An open journal; several threads may append to it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def append(self, observation: Observation) -> None:
        """Write one observation through to the disk. Raises PlimsollError when the disk does not take it."""
        self.extend((observation,))

    def note(self, observation: Observation) -> None:
        """Write one observation that comes to the disk with the next that is appended. Raises as `append` does."""
        self._write((observation,), through=False)

    def extend(self, observations: Iterable[Observation]) -> None:
        """Write several observations through to the disk at once."""
        self._write(observations, through=True)

    def _write(self, observations: Iterable[Observation], *, through: bool) -> None:
        lines = b"".join(json_for_people(each) + b"\n" for each in observations)
        with self._lock:
            try:
                written = self._file.write(lines)
                while written < len(lines):
                    # A disk that is nearly full takes a part, and says so only when it is asked to take the rest.
                    written += self._file.write(lines[written:])
                if through:
                    os.fsync(self._file.fileno())
            except OSError as error:
                raise PlimsollError(
                    f"the journal cannot be written: {error.strerror}",
                    where=str(self.path),
                    hint="free some space on the disk and run again: finished steps are kept",
                ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> Iterator[Observation]:
    """The observations of a journal in order, without a last line that a kill cut short.

    Raises PlimsollError when the journal is missing, or a line before the last cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise PlimsollError(f"the journal cannot be read: {error.strerror}", where=str(path)) from error
    decoder = msgspec.json.Decoder(Observation)
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            yield decoder.decode(line)
        except UNREADABLE as error:
            if number == len(lines):
                return
            raise PlimsollError(f"this line is not an observation: {error}", where=f"{path}:{number}") from error
