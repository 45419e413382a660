"""Searches an index that is mapped into memory, so that processes share one copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.indexes import layout
from plimsoll.indexes.arrays import Records, Texts, map_array
from plimsoll.indexes.layout import ChunkColumn, Heading, IndexFacts, SearchMode, StoredDocument, read_facts
from plimsoll.indexes.lexical import LexicalIndex, Seen, best
from plimsoll.indexes.vectors import VectorIndex

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.indexes.embedder import Embedder

CANDIDATES = 50
"""Results of each search that a hybrid one joins."""
WORDS_SHARE = 0.1
"""The weight of the words' score, of 0 to 1, beside a cosine. Source: `benchmarks rag`, questions on perlfaq."""
MOST_RESULTS = 1000
KNOWN_CALLERS = 16
"""Sets of groups whose chunks are remembered: a bool for each chunk."""


class Hit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chunk that was found: `text` is `start` to `end` of its document, in characters.

    `score` is a cosine (−1 to 1) for dense search, a BM25 score for lexical, and for hybrid a cosine with up to 0.1 for
    the words.
    """

    id: str
    source: str
    start: int
    end: int
    score: float
    text: str
    title: str = ""
    heading: str = ""
    metadata: Mapping[str, str] = {}


def open_registered(directory: Path, threads: int = 0) -> SearchIndex:
    """Open an index as it is registered, with its embedding model in it. Raises PlimsollError, MissingExtra."""
    model = directory / layout.EMBEDDER
    if not model.is_file():
        return SearchIndex(directory)
    from plimsoll.indexes.embedder import Embedder

    return SearchIndex(directory, Embedder(model, threads))


class SearchIndex:
    """An index for searches. Threads may share it."""

    def __init__(self, directory: Path, embedder: Embedder | None = None) -> None:
        """Open an index. Raises PlimsollError when it cannot be read, or was embedded by another model."""
        self.facts = facts = read_facts(directory)
        self._embedder = embedder
        if facts.search != "lexical" and (embedder is None or embedder.digest != facts.embedder):
            text = "the index was embedded by another model than the one that is given for the question"
            raise PlimsollError(text, where=str(directory), hint="run again, to build the index with this model")
        try:
            self._chunks = map_array(directory, layout.CHUNKS)
            self._documents = Records(directory, layout.DOCUMENTS, StoredDocument)
            self._headings = Records(directory, layout.HEADINGS, Heading)
            self._texts = Texts(directory / layout.TEXTS)
            _require_whole(facts, self._chunks, len(self._documents), len(self._texts))
            self._lexical = LexicalIndex(directory, facts.chunks) if facts.search != "dense" else None
            # Which chunks a caller may see costs as much as a search of a large index; callers come again.
            self._seen = lru_cache(maxsize=KNOWN_CALLERS)(self._see)
            dense = facts.search != "lexical"
            self._vectors = VectorIndex(directory, facts.dimension, len(facts.groups)) if dense else None
        except (OSError, ValueError, RuntimeError) as error:
            hint = "run again, to build the index anew"
            raise PlimsollError(f"the index cannot be read: {error}", where=str(directory), hint=hint) from error

    def search(
        self,
        question: str,
        most: int = 5,
        labels: Collection[str] | None = None,
        mode: SearchMode | None = None,
    ) -> list[Hit]:
        """The best chunks for a question, best first.

        `labels` are those of the caller: a chunk of a document with labels is searched only for who has one of them.
        None is for who may see everything. `mode` is that of the index, or one that a hybrid index can do too: see
        `modes`.
        """
        most = max(1, min(most, MOST_RESULTS))
        groups = [
            number
            for number, access in enumerate(self.facts.groups)
            if labels is None or not access or not set(access).isdisjoint(labels)
        ]
        if not question.strip() or not groups:
            return []
        return [self._hit(row, score) for row, score in self._ranked(question, most, groups, mode or self.facts.search)]

    @property
    def modes(self) -> tuple[SearchMode, ...]:
        """How it can be searched: a hybrid index has words and vectors."""
        return ("hybrid", "dense", "lexical") if self.facts.search == "hybrid" else (self.facts.search,)

    def _ranked(self, question: str, most: int, groups: list[int], mode: SearchMode) -> list[tuple[int, float]]:
        by_words = None
        if self._lexical is not None and mode != "dense":
            by_words = self._lexical.scores(question, self._seen(tuple(groups)))
        if self._vectors is None or self._embedder is None or mode == "lexical":
            scores = by_words if by_words is not None else self._chunks[:0, 0]
            return [(row, float(scores[row])) for row in best(scores, most)]
        vector = self._embedder.embed([question])[0]
        if by_words is None:
            return self._vectors.search(vector, most, groups)
        return self._joined(vector, by_words, most, groups)

    def _joined(self, vector: Array, by_words: Array, most: int, groups: list[int]) -> list[tuple[int, float]]:
        """Rank by the similarity of meaning, with a share of the words' score in that of the best by words.

        Measured on judged questions, this finds more than ranks that are joined, which lose to vectors alone.
        """
        if self._vectors is None:
            return []
        depth = max(CANDIDATES, most)
        near = dict(self._vectors.search(vector, depth, groups))
        found = best(by_words, depth)
        top = float(by_words[found[0]]) if found else 1.0
        near |= self._vectors.similarities(vector, self._by_group([row for row in found if row not in near]))
        joined = [(row, like + WORDS_SHARE * float(by_words[row]) / top) for row, like in near.items()]
        return sorted(joined, key=lambda each: (-each[1], each[0]))[:most]

    def _by_group(self, rows: list[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for row in rows:
            found.setdefault(int(self._chunks[row, ChunkColumn.GROUP]), []).append(row)
        return found

    def _see(self, groups: tuple[int, ...]) -> Seen:
        import numpy as np

        if self._lexical is None:
            raise ValueError("an index without words has no scores of them")
        every = len(groups) == len(self.facts.groups)
        return self._lexical.seen(None if every else np.isin(self._chunks[:, ChunkColumn.GROUP], groups))

    def _hit(self, row: int, score: float) -> Hit:
        chunk = self._chunks[row]
        document = self._documents[int(chunk[ChunkColumn.DOCUMENT])]
        return Hit(
            id=document.id,
            source=document.source,
            start=int(chunk[ChunkColumn.START]),
            end=int(chunk[ChunkColumn.END]),
            score=round(score, 6),
            text=self._texts.between(int(chunk[ChunkColumn.FIRST_BYTE]), int(chunk[ChunkColumn.LAST_BYTE])),
            title=document.title,
            heading=self._headings[int(chunk[ChunkColumn.HEADING])].text,
            metadata=document.metadata,
        )


def _require_whole(facts: IndexFacts, chunks: Array, documents: int, texts: int) -> None:
    """Raise ValueError for files of different lengths than they were written with."""
    if len(chunks) != facts.chunks or documents != facts.documents:
        raise ValueError(f"it has {len(chunks)} chunks and {documents} documents, not as many as index.json says")
    if len(chunks) and int(chunks[:, ChunkColumn.LAST_BYTE].max()) > texts:
        raise ValueError(f"{layout.TEXTS} ends before the last chunk")
