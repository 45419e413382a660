"""Builds an index: documents to chunks, chunks to words and vectors."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.indexes import layout
from plimsoll.indexes.arrays import Records, Texts, write_array, write_records
from plimsoll.indexes.chunking import CountTokens, chunks
from plimsoll.indexes.documents import Document, Unreadable
from plimsoll.indexes.earlier import Earlier
from plimsoll.indexes.ids import id_hash, write_ids
from plimsoll.indexes.layout import ChunkColumn, Heading, IndexFacts, SearchMode, StoredDocument
from plimsoll.indexes.lexical import LexicalWriter
from plimsoll.indexes.vectors import VectorWriter, WritesOutside
from plimsoll.indexes.words import words

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.indexes.embedder import Embedder

EMBEDDED_AT_ONCE = 128
DIGEST_BYTES = 16


class Settings(Struct, frozen=True, kw_only=True):
    """`tokens` and `overlap` are those of chunks, in tokens of the embedder, or in words without one."""

    search: SearchMode
    tokens: int = 256
    overlap: int = 64
    threads: int = 0


class IndexBuilder:
    """Builds one index in an empty directory. With `outside` its vectors go there, and not into files."""

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        embedder: Embedder | None,
        say: Callable[[str], None],
        outside: WritesOutside | None = None,
    ) -> None:
        self._outside = outside
        self._directory, self._settings, self._embedder, self._say = directory, settings, embedder, say
        self._lexical = LexicalWriter() if settings.search != "dense" else None
        self._columns = {column: array("q") for column in ChunkColumn}
        self._headings: dict[str, int] = {}
        self._groups: dict[tuple[str, ...], int] = {}
        self._digests: list[bytes] = []
        self._ids = array("Q")

    def build(
        self, documents: Iterable[Document | Unreadable], earlier: Earlier | None = None, source: str = ""
    ) -> IndexFacts:
        """Build the index; vectors of chunks that an earlier one has are taken from it.

        `source` is what the documents are in, for an error about all of them.

        Raises PlimsollError when two documents have the same id, and when nothing could be read.
        """
        unreadable: list[Unreadable] = []
        count = write_records(self._directory, layout.DOCUMENTS, self._stored(documents, unreadable))
        if not count:
            raise _nothing(unreadable, source)
        write_ids(self._directory, self._ids)
        write_records(self._directory, layout.HEADINGS, map(Heading, self._headings))
        table = self._table()
        write_array(self._directory, layout.CHUNKS, table)
        if self._lexical is not None:
            self._say("writing the words")
            self._lexical.write(self._directory)
        embedded, listed = self._write_vectors(table, self._embedder, earlier) if self._embedder else (0, 0)
        facts = IndexFacts(
            format=layout.FORMAT,
            search=self._settings.search,
            documents=count,
            chunks=len(table),
            tokens=self._settings.tokens,
            overlap=self._settings.overlap,
            groups=tuple(self._groups),
            dimension=self._embedder.dimension if self._embedder else 0,
            embedder=self._embedder.digest if self._embedder else "",
            embedded=embedded,
            listed=listed,
            store=self._outside.place if self._outside is not None else None,
            unreadable=tuple(unreadable),
        )
        layout.write_facts(self._directory, facts)
        return facts

    def _stored(
        self, documents: Iterable[Document | Unreadable], unreadable: list[Unreadable]
    ) -> Iterator[StoredDocument]:
        """Write the texts and collect the chunks while documents pass."""
        seen: dict[bytes, str] = {}
        position = 0
        with (self._directory / layout.TEXTS).open("wb") as texts:
            for document in documents:
                if isinstance(document, Unreadable):
                    unreadable.append(document)
                    continue
                key = hashlib.blake2b(document.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
                if key in seen:
                    text = f"two documents have the id '{document.id}': {seen[key]} and {document.source}"
                    raise PlimsollError(text, where=document.source, hint="give each document an id of its own")
                seen[key] = document.source
                self._ids.append(id_hash(document.id))
                content = document.text.encode("utf-8", "replace")
                self._add_chunks(document, len(seen) - 1, position)
                position += texts.write(content + b"\n")
                yield StoredDocument(
                    id=document.id,
                    source=document.source,
                    digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
                    title=document.title,
                    metadata=document.metadata,
                    access=document.access,
                )
                if len(seen) % 1000 == 0:
                    self._say(f"{len(seen)} documents read")

    def _add_chunks(self, document: Document, number: int, position: int) -> None:
        group = self._groups.setdefault(tuple(sorted(set(document.access))), len(self._groups))
        at, first_byte = 0, position
        for chunk in chunks(document, self._count(), most=self._settings.tokens, overlap=self._settings.overlap):
            if chunk.start < at:
                at, first_byte = 0, position
            first_byte += len(document.text[at : chunk.start].encode("utf-8", "replace"))
            at = chunk.start
            text = document.text[chunk.start : chunk.end]
            heading = self._headings.setdefault(chunk.heading, len(self._headings))
            last_byte = first_byte + len(text.encode("utf-8", "replace"))
            row = (number, chunk.start, chunk.end, first_byte, last_byte, heading, group)
            for column, value in zip(ChunkColumn, row, strict=True):
                self._columns[column].append(value)
            whole = embedded_text(document.title, chunk.heading, text)
            if self._lexical is not None:
                self._lexical.add(whole)
            self._digests.append(hashlib.blake2b(whole.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest())

    def _count(self) -> CountTokens:
        return self._embedder.count if self._embedder else lambda texts: [len(words(text)) for text in texts]

    def _table(self) -> Array:
        import numpy as np

        return np.stack([np.asarray(self._columns[column], dtype=np.int64) for column in ChunkColumn], axis=1)

    def _write_vectors(self, table: Array, embedder: Embedder, earlier: Earlier | None) -> tuple[int, int]:
        """Embed what no earlier index has, and write the graphs; returns the numbers of embedded and listed chunks."""
        import numpy as np

        vectors = np.zeros((len(table), embedder.dimension), dtype=np.float32)
        missing = list(range(len(table)))
        if earlier is not None and earlier.facts.embedder == embedder.digest:
            missing = earlier.fill(vectors, self._digests)
        self._embed(table, embedder, vectors, missing)
        write_array(self._directory, layout.EMBEDDED, np.frombuffer(b"".join(self._digests), dtype=np.uint8))
        writer = self._outside or VectorWriter(self._directory, embedder.dimension, self._settings.threads)
        listed = 0
        for group in range(len(self._groups)):
            rows = np.flatnonzero(table[:, ChunkColumn.GROUP] == group)
            listed += writer.write(group, rows, vectors[rows])
        if self._outside is not None:
            self._say(f"making the vectors fit for searches in {self._outside.place.name}")
            self._outside.finish(self._directory)
        return len(missing), listed

    def _embed(self, table: Array, embedder: Embedder, vectors: Array, missing: list[int]) -> None:
        texts = Texts(self._directory / layout.TEXTS)
        headings = list(self._headings)
        documents = Records(self._directory, layout.DOCUMENTS, StoredDocument)
        for start in range(0, len(missing), EMBEDDED_AT_ONCE):
            rows = missing[start : start + EMBEDDED_AT_ONCE]
            some = []
            for row in rows:
                found = table[row]
                text = texts.between(int(found[ChunkColumn.FIRST_BYTE]), int(found[ChunkColumn.LAST_BYTE]))
                title = documents[int(found[ChunkColumn.DOCUMENT])].title
                some.append(embedded_text(title, headings[int(found[ChunkColumn.HEADING])], text))
            vectors[rows] = embedder.embed(some)
            self._say(f"{start + len(rows)} of {len(missing)} chunks embedded")


def embedded_text(title: str, heading: str, text: str) -> str:
    """What is embedded for a chunk, and whose words are found: its headings say what it is about."""
    above = " › ".join(each for each in (title, heading) if each)
    return f"{above}\n{text}" if above else text


def _nothing(unreadable: list[Unreadable], source: str) -> PlimsollError:
    if not unreadable:
        hint = "name a dataset with documents for `documents`"
        return PlimsollError("there are no documents", where=source, hint=hint)
    first = unreadable[0]
    text = f"none of the {len(unreadable)} documents could be read; the first of them {first.reason}"
    return PlimsollError(text, where=first.source, hint="name a dataset with documents that can be read")
