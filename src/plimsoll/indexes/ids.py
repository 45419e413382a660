"""Finds documents of an index by their ids, without reading all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.indexes.arrays import map_array, write_array

FILE = "ids"


def id_hash(name: str) -> int:
    """64 bits of a digest of an id."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def write_ids(directory: Path, hashes: Sequence[int]) -> None:
    """Write the hashes of the ids of documents, which are given in the order of the documents."""
    import numpy as np

    all_of_them = np.asarray(hashes, dtype=np.uint64)
    order = np.argsort(all_of_them, kind="stable")
    write_array(directory, FILE, all_of_them[order])
    write_array(directory, f"{FILE}.rows", order.astype(np.int64))


class Ids:
    """The mapped hashes."""

    def __init__(self, directory: Path) -> None:
        self._hashes = map_array(directory, FILE)
        self._rows = map_array(directory, f"{FILE}.rows")

    def find(self, name: str, id_of: Callable[[int], str]) -> int | None:
        """The number of a document; None when there is none. `id_of` tells ids with equal hashes apart."""
        import numpy as np

        wanted = np.uint64(id_hash(name))
        at = int(np.searchsorted(self._hashes, wanted))
        while at < len(self._hashes) and self._hashes[at] == wanted:
            row = int(self._rows[at])
            if id_of(row) == name:
                return row
            at += 1
        return None
