"""Search by vectors: a graph of neighbours (HNSW) for each group of chunks that the same callers may see.

The graph is not searched whole, so that it may hold vectors that no search finds. `VectorWriter` asks for each of them
after it was added; one that is not found is kept in a list that every search compares one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from plimsoll.indexes.arrays import map_array, write_array
from plimsoll.indexes.layout import IndexFacts, StorePlace

if TYPE_CHECKING:
    from usearch.index import Index

    from plimsoll.indexes.arrays import Array

CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 96
_EXPANSION_GLANCE = 8
"""Of the first, narrow search for each vector: what it brings, a wider one brings too."""
_ASKED_AT_MOST = 50_000
"""Vectors of a group that are asked for: all of a small group, an even sample of a large one."""


class Vectors(Protocol):
    """The vectors of one version of an index, by the rows of its chunks, in groups that the same callers may see."""

    def search(
        self, vector: Array, most: int, groups: Iterable[int], hidden: Set[int] = frozenset()
    ) -> list[tuple[int, float]]:
        """The nearest rows in these groups with their similarity (cosine, −1 to 1), nearest first, without `hidden`."""

    def similarities(self, vector: Array, rows: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """The similarity of a vector to rows, which are given by their groups."""

    def vectors(self, group: int, rows: Sequence[int]) -> Mapping[int, Array]:
        """The stored vectors of rows of a group, float32; those that are gone are left out."""

    def forget(self, rows: Sequence[int]) -> None:
        """Delete rows for good, where what holds them can be changed. Raises PlimsollError."""


class OpensVectors(Protocol):
    """Opens the vectors of an index whose facts name a store."""

    def __call__(self, directory: Path, facts: IndexFacts) -> Vectors:
        """The vectors. Raises PlimsollError when they cannot be reached, or are not those that were built."""


class WritesOutside(Protocol):
    """Writes vectors into a store in place of files."""

    place: StorePlace

    def write(self, group: int, rows: Array, vectors: Array) -> int:
        """Write the rows of a group; returns how many of them the store cannot find. Raises PlimsollError."""

    def finish(self, directory: Path) -> None:
        """Make what was written fit for searches, and write to the index what it is checked by."""


def _empty(dimension: int) -> Index:
    from plimsoll.indexes.native import Index

    return Index(
        ndim=dimension,
        metric="cos",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


class VectorWriter:
    """Writes the graphs of groups. `dimension` is the number of components of a vector."""

    def __init__(self, directory: Path, dimension: int, threads: int = 0) -> None:
        self._directory, self._dimension, self._threads = directory, dimension, threads

    def write(self, group: int, rows: Array, vectors: Array) -> int:
        """Write the graph of a group: the rows of its chunks and their vectors. Returns how many it cannot find."""
        import numpy as np

        graph = _empty(self._dimension)
        graph.add(rows.astype(np.uint64), vectors, threads=self._threads)
        lost = self._unreachable(graph, rows, vectors)
        graph.save(str(self._directory / f"vectors-{group}.usearch"))
        write_array(self._directory, f"vectors-{group}.listed", rows[lost].astype(np.int64))
        write_array(self._directory, f"vectors-{group}.listed.values", vectors[lost].astype(np.float32))
        return len(lost)

    def _unreachable(self, graph: Index, rows: Array, vectors: Array) -> Array:
        import numpy as np

        every = np.arange(len(rows))
        step = max(1, len(rows) // _ASKED_AT_MOST)
        lost = _not_found(graph, every[::step], rows, vectors, self._threads)
        if step > 1 and len(lost):
            others = _not_found(graph, every[every % step != 0], rows, vectors, self._threads)
            lost = np.sort(np.concatenate([lost, others]))
        return lost


def _not_found(graph: Index, positions: Array, rows: Array, vectors: Array, threads: int) -> Array:
    """The positions of those vectors that a search for themselves does not bring, nor an equal one in their place.

    `rows` are in order.
    """
    import numpy as np

    lost: list[int] = []
    for start in range(0, len(positions), 4096):
        asked = _not_at_a_glance(graph, positions[start : start + 4096], rows, vectors, threads)
        if not len(asked):
            continue
        found = graph.search(vectors[asked], 10, threads=threads)
        keys = np.atleast_2d(found.keys)
        for at, near in zip(asked, keys, strict=True):
            if rows[at] not in near and not _has_equal(vectors[at], near, rows, vectors):
                lost.append(int(at))
    return np.asarray(lost, dtype=np.int64)


def _not_at_a_glance(graph: Index, positions: Array, rows: Array, vectors: Array, threads: int) -> Array:
    """The positions of those vectors that a narrow search does not bring first: few, for a wide one to ask again."""
    wide, graph.expansion_search = graph.expansion_search, _EXPANSION_GLANCE
    try:
        found = graph.search(vectors[positions], 1, threads=threads)
    finally:
        graph.expansion_search = wide
    nearest = found.keys.reshape(len(positions), -1)
    if nearest.shape[1] != 1:
        return positions
    left: Array = positions[nearest[:, 0] != rows[positions].astype(nearest.dtype)]
    return left


def _has_equal(vector: Array, keys: Array, rows: Array, vectors: Array) -> bool:
    """Whether what was found are other chunks with the same vector: of many equal texts, some come."""
    import numpy as np

    places = np.searchsorted(rows, keys.astype(np.int64))
    return bool(len(keys)) and bool((vectors[places] == vector).all(axis=1).any())


class VectorIndex:
    """The mapped graphs of the groups."""

    def __init__(self, directory: Path, dimension: int, groups: int) -> None:
        self._dimension = dimension
        # A search of the library takes the place of its first thread in the graph, whichever thread calls it.
        self._searching = threading.Lock()
        self._groups = [self._open(directory, group) for group in range(groups)]

    def _open(self, directory: Path, group: int) -> tuple[Index, Array, Array]:
        graph = _empty(self._dimension)
        graph.view(str(directory / f"vectors-{group}.usearch"))
        listed = map_array(directory, f"vectors-{group}.listed")
        return graph, listed, map_array(directory, f"vectors-{group}.listed.values")

    def search(
        self, vector: Array, most: int, groups: Iterable[int], hidden: Set[int] = frozenset()
    ) -> list[tuple[int, float]]:
        """The nearest rows in these groups with their similarity (cosine, −1 to 1), nearest first, without `hidden`."""
        found: dict[int, float] = {}
        for group in groups:
            graph, listed, values = self._groups[group]
            found |= self._nearest(graph, vector, most, hidden)
            if len(listed):
                like = zip(listed, values @ vector, strict=True)
                found |= {int(row): float(each) for row, each in like if int(row) not in hidden}
        return sorted(found.items(), key=lambda each: (-each[1], each[0]))[:most]

    def _nearest(self, graph: Index, vector: Array, most: int, hidden: Set[int]) -> dict[int, float]:
        """The nearest of a graph. The graph finds hidden ones too, so that more are asked for until enough are left."""
        asked = most + min(len(hidden), most)
        while len(graph):
            with self._searching:
                near = graph.search(vector, min(asked, len(graph)))
            each = zip(near.keys, near.distances, strict=True)
            found = {int(row): 1 - float(far) for row, far in each if int(row) not in hidden}
            if len(found) >= most or not hidden or asked >= len(graph):
                return found
            asked *= 4
        return {}

    def similarities(self, vector: Array, rows: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """The similarity of a vector to rows, which are given by their groups."""
        found: dict[int, float] = {}
        for group, some in rows.items():
            found |= {row: float(known @ vector) for row, known in self.vectors(group, some).items()}
        return found

    def vectors(self, group: int, rows: Sequence[int]) -> Mapping[int, Array]:
        """The stored vectors of rows of a group, float32."""
        import numpy as np

        graph, _, _ = self._groups[group]
        if not rows:
            return {}
        got = graph.get(np.asarray(rows, dtype=np.uint64), dtype="f32")
        return {
            row: vector for row, vector in zip(rows, got if got is not None else (), strict=True) if vector is not None
        }

    def forget(self, rows: Sequence[int]) -> None:
        """Change nothing: the files of a version are signed, and a search leaves out what was deleted."""
