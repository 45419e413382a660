"""Documents that were changed after an index was built, in memory: they are compared one by one in each search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from plimsoll.indexes.changes import Change
from plimsoll.indexes.chunking import Chunk
from plimsoll.indexes.words import words

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

_FIRST_ROOM = 64


class Overlay:
    """Chunks of changed documents, as rows that follow those of the index. A chunk whose document changed is dead."""

    def __init__(self, dimension: int) -> None:
        """`dimension` is that of vectors, 0 without any."""
        import numpy as np

        self._dimension = dimension
        self._rows: list[tuple[Change, Chunk]] = []
        self._of: dict[str, list[int]] = {}
        self._postings: dict[str, list[tuple[int, int]]] = {}
        self._alive = np.zeros(_FIRST_ROOM, dtype=bool)
        self._lengths = np.zeros(_FIRST_ROOM, dtype=np.int32)
        self._vectors = np.zeros((_FIRST_ROOM, dimension), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, change: Change, text_of: Iterable[str]) -> None:
        """Take in a change; `text_of` has for each chunk what its words are taken from."""
        import numpy as np

        for row in self._of.pop(change.id, ()):
            self._alive[row] = False
        for chunk, text in zip(change.chunks, text_of, strict=True):
            row = len(self._rows)
            self._make_room(row)
            self._rows.append((change, Chunk(chunk.start, chunk.end, chunk.heading)))
            self._of.setdefault(change.id, []).append(row)
            counted = Counter(words(text))
            for word, times in counted.items():
                self._postings.setdefault(word, []).append((row, times))
            self._lengths[row] = counted.total()
            if self._dimension:
                self._vectors[row] = np.frombuffer(chunk.vector, dtype="<f4")
            self._alive[row] = True

    def _make_room(self, row: int) -> None:
        import numpy as np

        if row < len(self._alive):
            return
        self._alive = np.concatenate([self._alive, np.zeros_like(self._alive)])
        self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
        self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])

    def allowed(self, labels: Collection[str] | None) -> Array:
        """For each row whether a caller may see it; None stands for who may see everything."""
        alive = self._alive[: len(self._rows)].copy()
        if labels is not None:
            for row in alive.nonzero()[0]:
                access = self._rows[row][0].access
                alive[row] = not access or not set(access).isdisjoint(labels)
        return alive

    @property
    def lengths(self) -> Array:
        """The number of words of each row."""
        return self._lengths[: len(self._rows)]

    def postings(self, word: str) -> tuple[Array, Array] | None:
        """The rows that have a word, and how often; None when none has."""
        import numpy as np

        found = self._postings.get(word)
        if found is None:
            return None
        return np.asarray([row for row, _ in found]), np.asarray([times for _, times in found])

    def similarities(self, vector: Array, allowed: Array) -> dict[int, float]:
        """The similarity of each row that is allowed."""
        rows = allowed.nonzero()[0]
        near = self._vectors[rows] @ vector
        return {int(row): float(like) for row, like in zip(rows, near, strict=True)}

    def at(self, row: int) -> tuple[Change, Chunk]:
        """The document and the chunk of a row."""
        return self._rows[row]
