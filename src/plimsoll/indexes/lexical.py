"""Search by words: an inverted index whose postings hold how often a word is in a chunk, and BM25 over them.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the inverse
document frequency of Lucene, which is never negative.

The rarity of a word and the mean length are those of the chunks that the caller may see. Scores over all chunks would
tell her how often a word is in those that she may not see.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from plimsoll.indexes.arrays import map_array, write_array
from plimsoll.indexes.words import words

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

K1, B = 1.2, 0.75
MOST_QUERY_WORDS = 256
"""Words of a query that count, so that a long one costs no more than this many lists."""
MOST_COUNTED = 65535
"""Times that a word counts in one chunk: more of them change no score."""


class LexicalWriter:
    """Collects the words of chunks in the order of their rows."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._terms, self._rows, self._counts = array("I"), array("I"), array("I")
        self._lengths = array("I")

    def add(self, text: str) -> None:
        """Add the next chunk."""
        row = len(self._lengths)
        counted = Counter(words(text))
        for word, times in counted.items():
            self._terms.append(self._numbers.setdefault(word, len(self._numbers)))
            self._rows.append(row)
            self._counts.append(times)
        self._lengths.append(sum(counted.values()))

    def write(self, directory: Path) -> None:
        """Write the postings, by the hash of their word."""
        import numpy as np

        hashes = np.fromiter((_hash(word) for word in self._numbers), dtype=np.uint64, count=len(self._numbers))
        by_hash = np.argsort(hashes)
        place = np.empty(len(hashes), dtype=np.int64)
        place[by_hash] = np.arange(len(hashes))
        terms = place[np.frombuffer(self._terms, dtype=np.uint32)] if self._terms else np.empty(0, dtype=np.int64)
        # A stable sort keeps the rows of a word in order.
        order = np.argsort(terms, kind="stable")
        rows = np.frombuffer(self._rows, dtype=np.uint32)[order] if self._rows else np.empty(0, dtype=np.uint32)
        counts = np.frombuffer(self._counts, dtype=np.uint32)[order] if self._counts else np.empty(0, dtype=np.uint32)
        in_chunks = np.bincount(terms, minlength=len(hashes))
        write_array(directory, "lexical.words", hashes[by_hash])
        write_array(directory, "lexical.starts", np.concatenate([[0], np.cumsum(in_chunks)]).astype(np.int64))
        write_array(directory, "lexical.rows", rows.astype(np.int32))
        write_array(directory, "lexical.counts", np.minimum(counts, MOST_COUNTED).astype(np.uint16))
        write_array(directory, "lexical.lengths", np.asarray(self._lengths, dtype=np.int32))


class Part(Protocol):
    """Chunks whose words are searched together with those of others."""

    @property
    def lengths(self) -> Array:
        """The number of words of each row."""

    def postings(self, word: str) -> tuple[Array, Array] | None:
        """The rows that have a word, and how often; None when none has."""


class Seen:
    """What a caller may see of a part: which of its chunks, how many, and how many words these have together."""

    def __init__(self, part: Part, allowed: Array | None = None) -> None:
        """`allowed` has a bool for each chunk; None stands for all."""
        some = part.lengths if allowed is None else part.lengths[allowed]
        self.part = part
        self.allowed = allowed
        self.chunks = len(some)
        self.words = int(some.sum())


def scores(query: str, seen: Sequence[Seen]) -> list[Array]:
    """For each part the score of each row, 0 for one that has no word of the query or may not be seen."""
    import numpy as np

    chunks = sum(each.chunks for each in seen)
    mean = sum(each.words for each in seen) / max(1, chunks) or 1.0
    totals = [np.zeros(len(each.part.lengths), dtype=np.float32) for each in seen]
    for word in list(dict.fromkeys(words(query)))[:MOST_QUERY_WORDS]:
        found = [_visible(each, word) for each in seen]
        having = sum(len(rows) for rows, _ in found)
        inverse = math.log1p((chunks - having + 0.5) / (having + 0.5))
        for total, each, (rows, counts) in zip(totals, seen, found, strict=True):
            often = counts.astype(np.float32)
            length = K1 * (1 - B + B / mean * each.part.lengths[rows])
            total[rows] += inverse * (K1 + 1) * often / (often + length)
    return totals


def _visible(seen: Seen, word: str) -> tuple[Array, Array]:
    """The rows that have a word and may be seen, and how often."""
    import numpy as np

    found = seen.part.postings(word)
    if found is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    rows, counts = found
    if seen.allowed is None:
        return rows, counts
    allowed = seen.allowed[rows]
    return rows[allowed], counts[allowed]


class LexicalIndex:
    """The mapped postings. `chunks` is the number of rows."""

    def __init__(self, directory: Path, chunks: int) -> None:
        self._words = map_array(directory, "lexical.words")
        self._starts = map_array(directory, "lexical.starts")
        self._rows = map_array(directory, "lexical.rows")
        self._counts = map_array(directory, "lexical.counts")
        self.lengths = map_array(directory, "lexical.lengths")
        """The number of words of each row."""
        if len(self._starts) != len(self._words) + 1 or not self._starts[-1] == len(self._rows) == len(self._counts):
            raise ValueError("the files of the words do not belong together")
        if len(self.lengths) != chunks:
            raise ValueError(f"the files of the words have {len(self.lengths)} chunks, not {chunks}")

    def postings(self, word: str) -> tuple[Array, Array] | None:
        """The rows that have a word, and how often; None when none has."""
        import numpy as np

        wanted = np.uint64(_hash(word))
        at = int(np.searchsorted(self._words, wanted))
        if at == len(self._words) or self._words[at] != wanted:
            return None
        start, end = int(self._starts[at]), int(self._starts[at + 1])
        return self._rows[start:end], self._counts[start:end]


def best(scores: Array, most: int) -> list[int]:
    """The rows with the highest scores above 0, best first."""
    import numpy as np

    candidates = np.flatnonzero(scores)
    if len(candidates) > most:
        candidates = candidates[np.argpartition(-scores[candidates], most - 1)[:most]]
    # Equal scores are told apart by the row, so that an answer is the same each time.
    return [int(row) for row in candidates[np.lexsort((candidates, -scores[candidates]))]]


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
