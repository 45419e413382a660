"""What was found: each kind once, with a few inputs that reproduce it in files."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from pathlib import Path

from msgspec import Struct

FILES_OF_A_KIND = 3
PLAIN = 1 << 20
"""Bytes of an input from which on it is compressed."""


class Finding(Struct, frozen=True):
    """`kind` says what went wrong, in words that are the same for each input of the kind."""

    area: str
    kind: str
    file: str


class Findings:
    """Collects findings in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._counts: Counter[tuple[str, str]] = Counter()
        self._files: dict[tuple[str, str], list[str]] = {}

    def add(self, area: str, kind: str, raw: bytes) -> Finding:
        """Count one more of a kind and write its input. The first of a kind is printed."""
        key = (area, kind)
        self._counts[key] += 1
        if self._counts[key] > FILES_OF_A_KIND:
            return Finding(area, kind, self._files[key][-1])
        self.directory.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(kind.encode() + raw).hexdigest()[:12]
        plain = len(raw) < PLAIN
        path = self.directory / f"{area}-{digest}.{'bin' if plain else 'bin.gz'}"
        path.write_bytes(raw if plain else gzip.compress(raw, 1, mtime=0))
        self._files.setdefault(key, []).append(str(path))
        if self._counts[key] == 1:
            print(f"    found in {area}: {kind}\n      {path}", flush=True)
        return Finding(area, kind, str(path))

    def kinds(self, area: str = "") -> int:
        """How many kinds an area has, or all of them."""
        return sum(1 for found, _ in self._counts if area in {"", found})

    def summary(self) -> list[str]:
        """A line for each kind, the most frequent first."""
        return [
            f"{area}: {kind} ({count} times): {' '.join(self._files[area, kind])}"
            for (area, kind), count in self._counts.most_common()
        ]
