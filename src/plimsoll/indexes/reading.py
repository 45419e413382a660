"""Searches an index that is mapped into memory, so that processes share one copy."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.errors import PlimsollError
from plimsoll.indexes import layout
from plimsoll.indexes.arrays import Records, Texts, map_array
from plimsoll.indexes.building import embedded_text
from plimsoll.indexes.changes import Change
from plimsoll.indexes.changing import Changing
from plimsoll.indexes.chunking import Chunk
from plimsoll.indexes.ids import Ids
from plimsoll.indexes.layout import ChunkColumn, Heading, IndexFacts, SearchMode, StoredDocument, read_facts
from plimsoll.indexes.lexical import LexicalIndex, Seen, best, scores
from plimsoll.indexes.overlay import Overlay
from plimsoll.indexes.reranker import RERANKED
from plimsoll.indexes.took import Took
from plimsoll.indexes.vectors import OpensVectors, VectorIndex, Vectors

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.indexes.embedder import Embedder
    from plimsoll.indexes.reranker import Reranker

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
    the words. With a reranker it is how likely the chunk answers the question, from 0 to 1.
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


def open_registered(
    directory: Path, threads: int = 0, changes: Path | None = None, outside: OpensVectors | None = None
) -> SearchIndex:
    """Open an index as it is registered, with its embedding model in it. Raises PlimsollError, MissingExtra.

    `outside` opens the vectors of an index that has them in a store.
    """
    model, second = directory / layout.EMBEDDER, directory / layout.RERANKER
    embedder = reranker = None
    if model.is_file():
        from plimsoll.indexes.embedder import Embedder

        embedder = Embedder(model, threads)
    if second.is_file():
        from plimsoll.indexes.reranker import Reranker

        reranker = Reranker(second, threads)
    return SearchIndex(directory, embedder, changes, reranker, outside)


class SearchIndex:
    """An index for searches. Threads may share it."""

    def __init__(
        self,
        directory: Path,
        embedder: Embedder | None = None,
        changes: Path | None = None,
        reranker: Reranker | None = None,
        outside: OpensVectors | None = None,
    ) -> None:
        """Open an index. `changes` is the journal of what was changed since it was built; there need be none yet.

        With a `reranker` the best passages are put in its order, and their scores are its own. `outside` opens vectors
        that are in a store.
        Raises PlimsollError when it cannot be read, or was embedded by another model.
        """
        self.facts = facts = read_facts(directory)
        self._embedder, self._reranker = embedder, reranker
        if facts.search != "lexical" and (embedder is None or embedder.digest != facts.embedder):
            text = "the index was embedded by another model than the one that is given for the question"
            raise PlimsollError(text, where=str(directory), hint="run again, to build the index with this model")
        try:
            self._chunks = map_array(directory, layout.CHUNKS)
            self._documents = Records(directory, layout.DOCUMENTS, StoredDocument)
            self._headings = Records(directory, layout.HEADINGS, Heading)
            self._texts = Texts(directory / layout.TEXTS)
            _require_whole(facts, self._chunks, len(self._documents), len(self._texts))
            self._ids = Ids(directory)
            self._lexical = LexicalIndex(directory, facts.chunks) if facts.search != "dense" else None
            self._vectors = _vectors_of(directory, facts, outside) if facts.search != "lexical" else None
        except (OSError, ValueError, RuntimeError) as error:
            hint = "run again, to build the index anew"
            raise PlimsollError(f"the index cannot be read: {error}", where=str(directory), hint=hint) from error
        # Which chunks a caller may see costs as much as a search of a large index; callers come again.
        self._seen = lru_cache(maxsize=KNOWN_CALLERS)(self._see)
        self.changing = Changing(changes, facts, embedder, self._rows_of) if changes else None
        self._turn = threading.Lock()

    @property
    def modes(self) -> tuple[SearchMode, ...]:
        """How it can be searched: a hybrid index has words and vectors."""
        return ("hybrid", "dense", "lexical") if self.facts.search == "hybrid" else (self.facts.search,)

    def search(
        self,
        question: str,
        most: int = 5,
        labels: Collection[str] | None = None,
        mode: SearchMode | None = None,
        took: Took | None = None,
    ) -> list[Hit]:
        """The best chunks for a question, best first; `took` is told what its parts have taken.

        `labels` are those of the caller: a chunk of a document with labels is searched only for who has one of them.
        None is for who may see everything. `mode` is that of the index, or another of `modes`. Raises PlimsollError
        when the journal of changes cannot be read.
        """
        most = max(1, min(most, MOST_RESULTS))
        mode = mode or self.facts.search
        if not question.strip():
            return []
        began = time.perf_counter()
        vector = self._embedder.embed([question])[0] if self._embedder and mode != "lexical" else None
        embedded = time.perf_counter()
        wanted = most if self._reranker is None else max(most, RERANKED)
        if self.changing is None:
            seen = self._look(question, vector, labels, mode)
        else:
            with self._turn:
                self._catch_up(self.changing)
                seen = self._look(question, vector, labels, mode)
        # Without the lock: a store that is slow to answer holds up nobody else.
        found = self._found(vector, wanted, seen)
        searched = time.perf_counter()
        if self._reranker is not None:
            found = self._reranked(self._reranker, question, found)[:most]
        if took is not None:
            took.embed, took.search = embedded - began if vector is not None else 0.0, searched - embedded
            took.rerank = time.perf_counter() - searched if self._reranker is not None else 0.0
        return found

    def catch_up(self) -> None:
        """Read the changes that there are, as each search does. Raises PlimsollError when they cannot be read."""
        if self.changing is not None:
            with self._turn:
                self._catch_up(self.changing)

    @property
    def vectors(self) -> Vectors | None:
        """The vectors, of an index that is searched by them."""
        return self._vectors

    @property
    def hidden(self) -> frozenset[int]:
        """The rows of documents that were changed or deleted, as far as the journal was read."""
        return self.changing.hidden if self.changing is not None else frozenset()

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents: no search finds them any more, and a store of the vectors has none of them.

        Raises PlimsollError for an index that cannot be changed, when the journal cannot be written, and when a store
        cannot be reached: the documents are found no more even so.
        """
        if self.changing is None:
            raise PlimsollError("this index was opened without a journal of changes")
        self.changing.delete(ids)
        if self._vectors is None:
            return
        try:
            self._vectors.forget([row for name in ids for row in self._rows_of(name)])
        except PlimsollError as error:
            text = f"the documents are found no more, and their vectors are still in the store: {error.message}"
            raise PlimsollError(text, where=error.where, hint="delete them again when the store answers") from error

    def _catch_up(self, changing: Changing) -> None:
        if changing.catch_up():
            self._seen.cache_clear()

    def _reranked(self, reranker: Reranker, question: str, found: list[Hit]) -> list[Hit]:
        """The best in the order of the reranker; what it has not read is left out."""
        read = found[:RERANKED]
        if not read:
            return []
        scores_of = reranker.scores(question, [embedded_text(hit.title, hit.heading, hit.text) for hit in read])
        rated = [replace(hit, score=round(score, 6)) for hit, score in zip(read, scores_of, strict=True)]
        # Python's sort keeps the order of what the reranker finds equal.
        return sorted(rated, key=lambda hit: -hit.score)

    def _look(self, question: str, vector: Array | None, labels: Collection[str] | None, mode: SearchMode) -> Seeing:
        """What a search sees, as it is at this moment: the rest of the search needs no lock."""
        groups = tuple(
            number
            for number, access in enumerate(self.facts.groups)
            if labels is None or not access or not set(access).isdisjoint(labels)
        )
        overlay = self.changing.overlay if self.changing is not None and len(self.changing.overlay) else None
        changed = None if overlay is None else ChangedRows(overlay, overlay.allowed(labels))
        like: Mapping[int, float] = {}
        if vector is not None and changed is not None:
            near = changed.overlay.similarities(vector, changed.allowed)
            like = {len(self._chunks) + row: each for row, each in near.items()}
        by_words = self._by_words(question, groups, changed) if mode != "dense" else None
        return Seeing(groups, self.hidden, overlay, by_words, like)

    def _found(self, vector: Array | None, most: int, seen: Seeing) -> list[Hit]:
        by_words = seen.by_words
        if vector is None:
            ranked = [(row, float(by_words[row])) for row in best(by_words, most)] if by_words is not None else []
        elif by_words is None:
            ranked = self._near(vector, most, seen)
        else:
            ranked = self._joined(vector, by_words, most, seen)
        return [self._hit(row, score, seen.overlay) for row, score in ranked]

    def _by_words(self, question: str, groups: tuple[int, ...], changed: ChangedRows | None) -> Array | None:
        """The scores of words of all rows; those of changed documents follow those of the index."""
        import numpy as np

        if self._lexical is None:
            return None
        parts = [self._seen(groups)]
        if changed is not None:
            parts.append(Seen(*changed))
        return np.concatenate(scores(question, parts))

    def _near(self, vector: Array, most: int, seen: Seeing) -> list[tuple[int, float]]:
        if self._vectors is None:
            return []
        near = self._vectors.search(vector, most, seen.groups, seen.hidden)
        near += seen.changed.items()
        return sorted(near, key=lambda each: (-each[1], each[0]))[:most]

    def _joined(self, vector: Array, by_words: Array, most: int, seen: Seeing) -> list[tuple[int, float]]:
        """Rank by the similarity of meaning, with a share of the words' score in that of the best by words.

        Measured on judged questions, this finds more than ranks that are joined, which lose to vectors alone.
        """
        depth = max(CANDIDATES, most)
        near = dict(self._near(vector, depth, seen))
        found = best(by_words, depth)
        top = float(by_words[found[0]]) if found else 1.0
        near |= self._similarities(vector, [row for row in found if row not in near], seen)
        joined = [(row, like + WORDS_SHARE * float(by_words[row]) / top) for row, like in near.items()]
        return sorted(joined, key=lambda each: (-each[1], each[0]))[:most]

    def _similarities(self, vector: Array, rows: list[int], seen: Seeing) -> dict[int, float]:
        """The similarity of a vector to rows that were found by their words."""
        own, base = [row for row in rows if row < len(self._chunks)], len(self._chunks)
        found = {row: seen.changed[row] for row in rows if row >= base}
        if self._vectors is not None and own:
            found |= self._vectors.similarities(vector, self._by_group(own))
        return found

    def _by_group(self, rows: list[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for row in rows:
            found.setdefault(int(self._chunks[row, ChunkColumn.GROUP]), []).append(row)
        return found

    def _see(self, groups: tuple[int, ...]) -> Seen:
        import numpy as np

        if self._lexical is None:
            raise ValueError("an index without words has no scores of them")
        hidden = self.hidden
        if len(groups) == len(self.facts.groups) and not hidden:
            return Seen(self._lexical)
        allowed = np.isin(self._chunks[:, ChunkColumn.GROUP], groups)
        allowed[list(hidden)] = False
        return Seen(self._lexical, allowed)

    def _rows_of(self, name: str) -> range:
        """The rows of a document by its id; they follow one another."""
        number = self._ids.find(name, lambda row: self._documents[row].id)
        if number is None:
            return range(0)
        documents = self._chunks[:, ChunkColumn.DOCUMENT]
        return range(bisect_left(documents, number), bisect_right(documents, number))

    def _hit(self, row: int, score: float, overlay: Overlay | None) -> Hit:
        if row >= len(self._chunks) and overlay is not None:
            return _changed_hit(*overlay.at(row - len(self._chunks)), score)
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


class ChangedRows(NamedTuple):
    """The rows of changed documents, and which of them a caller may see."""

    overlay: Overlay
    allowed: Array


class Seeing(NamedTuple):
    """What a search sees: groups of the index that the caller may see, and rows of them that are hidden.

    `by_words` has the scores of words of all rows, and `changed` how near changed documents are that she may see, by
    their rows in `overlay`, which follow those of the index.
    """

    groups: tuple[int, ...]
    hidden: frozenset[int]
    overlay: Overlay | None
    by_words: Array | None
    changed: Mapping[int, float]


def _vectors_of(directory: Path, facts: IndexFacts, outside: OpensVectors | None) -> Vectors:
    if facts.store is None:
        return VectorIndex(directory, facts.dimension, len(facts.groups))
    if outside is None:
        raise PlimsollError("the vectors of this index are in a store, which is not asked", where=str(directory))
    return outside(directory, facts)


def _changed_hit(change: Change, chunk: Chunk, score: float) -> Hit:
    return Hit(
        id=change.id,
        source=change.source,
        start=chunk.start,
        end=chunk.end,
        score=round(score, 6),
        text=change.text[chunk.start : chunk.end],
        title=change.title,
        heading=chunk.heading,
        metadata=change.metadata,
    )


def _require_whole(facts: IndexFacts, chunks: Array, documents: int, texts: int) -> None:
    """Raise ValueError for files of different lengths than they were written with."""
    if len(chunks) != facts.chunks or documents != facts.documents:
        raise ValueError(f"it has {len(chunks)} chunks and {documents} documents, not as many as index.json says")
    if len(chunks) and int(chunks[:, ChunkColumn.LAST_BYTE].max()) > texts:
        raise ValueError(f"{layout.TEXTS} ends before the last chunk")
