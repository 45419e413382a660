"""An index that is changed while it is searched: a journal that all processes read, and what it hides and adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.indexes.building import embedded_text
from plimsoll.indexes.changes import Change, ChangedChunk, Journal
from plimsoll.indexes.chunking import chunks
from plimsoll.indexes.documents import Document
from plimsoll.indexes.layout import IndexFacts
from plimsoll.indexes.overlay import Overlay
from plimsoll.indexes.words import words

if TYPE_CHECKING:
    from plimsoll.indexes.embedder import Embedder


class Changing:
    """What the journal says, as far as it was read. One thread at a time may call `catch_up`."""

    def __init__(
        self, journal: Path, facts: IndexFacts, embedder: Embedder | None, rows_of: Callable[[str], range]
    ) -> None:
        """`rows_of` gives the rows of a document in the index; an empty range for one that it does not have."""
        self._journal = Journal(journal)
        self._facts = facts
        self._embedder = embedder if facts.search != "lexical" else None
        self._rows_of = rows_of
        self.overlay = Overlay(facts.dimension)
        self.hidden: frozenset[int] = frozenset()
        """Rows of the index whose document was changed or deleted."""

    def catch_up(self) -> bool:
        """Read what is new; returns whether other rows are hidden now. Raises PlimsollError."""
        news, anew = self._journal.news()
        if anew:
            self.overlay = Overlay(self._facts.dimension)
            self.hidden = frozenset()
        hidden: set[int] = set()
        try:
            for change in news:
                hidden.update(self._rows_of(change.id))
                texts = _texts(change)
                self.overlay.put(self._with_vectors(change, texts), texts)
        finally:
            # Searches that go on have the set as it was.
            self.hidden |= hidden
        return bool(news) or anew

    def put(self, documents: Iterable[Document]) -> int:
        """Write documents to the journal, in place of those with the same ids; returns the number of their chunks.

        Raises PlimsollError when it cannot be written.
        """
        found = [self._change(document) for document in documents]
        self._journal.add(found)
        return sum(len(change.chunks) for change in found)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete documents. Raises PlimsollError when the journal cannot be written."""
        self._journal.add([Change(id=name, deleted=True) for name in ids])

    def _change(self, document: Document) -> Change:
        facts = self._facts
        found = tuple(
            ChangedChunk(chunk.start, chunk.end, chunk.heading, b"")
            for chunk in chunks(document, self._count, most=facts.tokens, overlap=facts.overlap)
        )
        change = Change(
            id=document.id,
            source=document.source,
            text=document.text,
            title=document.title,
            metadata=document.metadata,
            access=document.access,
            chunks=found,
        )
        return self._with_vectors(change, _texts(change))

    def _count(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count(texts) if self._embedder else [len(words(text)) for text in texts]

    def _with_vectors(self, change: Change, texts: Sequence[str]) -> Change:
        """The change with vectors of the model of this version of the index, which may have another than the last."""
        from msgspec.structs import replace

        if self._embedder is None or not change.chunks or change.embedder == self._embedder.digest:
            return change
        vectors = self._embedder.embed(texts)
        found = tuple(
            ChangedChunk(chunk.start, chunk.end, chunk.heading, vector.astype("<f4").tobytes())
            for chunk, vector in zip(change.chunks, vectors, strict=True)
        )
        return replace(change, chunks=found, embedder=self._embedder.digest)


def _texts(change: Change) -> list[str]:
    """What is embedded of each chunk, and whose words are found."""
    return [embedded_text(change.title, chunk.heading, change.text[chunk.start : chunk.end]) for chunk in change.chunks]
