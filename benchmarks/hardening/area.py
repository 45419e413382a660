"""What a fuzzed part of Plimsoll is to its worker: inputs as bytes, and one attempt at each."""

from __future__ import annotations

from random import Random
from typing import Protocol


class Area(Protocol):
    """One part under attack. The bytes alone decide an attempt, so that a kept input can be tried again."""

    def made(self, random: Random) -> bytes:
        """The next input."""

    def attempt(self, raw: bytes) -> str | None:
        """Give the input to the part; what is wrong with what it did, `None` when nothing is.

        Raises PlimsollError for an input that it refuses well. Whatever else it raises is a finding.
        """
