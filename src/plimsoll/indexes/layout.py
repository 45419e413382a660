"""What the directory of an index has.

index.json                  settings, counts, and what could not be read: `IndexFacts`
texts.txt                   the texts of all documents, one after the other
documents.jsonl             the other fields of each document: `StoredDocument`
ids.npy                     the hash of the id of each document, in order, and `ids.rows.npy` of its number
headings.jsonl              each heading once: `Heading`
chunks.npy                  a row for each chunk: see `ChunkColumn`
lexical.*.npy               the inverted index
vectors-<group>.usearch     the graph of a group, and `vectors-<group>.listed*.npy` of those it cannot find
embedded.npy                the digest of what was embedded for each chunk, for the next version
stored.npy                  of an index whose vectors are in a store: the digest of each vector, in place of the graphs
embedder/, reranker/        of a registered index: these models and their tokenizers
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError
from plimsoll.indexes.documents import Unreadable

FORMAT = 2
WITH_VECTORS = (1, 2)
"""Formats whose vectors are stored as they are today: what they have is not embedded anew."""
FACTS, TEXTS, DOCUMENTS, HEADINGS, CHUNKS, EMBEDDED, STORED = (
    "index.json",
    "texts.txt",
    "documents",
    "headings",
    "chunks",
    "embedded",
    "stored",
)

EMBEDDER, RERANKER = "embedder/model.onnx", "reranker/model.onnx"
TOKENIZER = "tokenizer.json"
"""Beside each model of texts."""
MOST_NOTES = 20
"""Documents that are named of those that were left out; index.json has all."""

SearchMode = Literal["dense", "lexical", "hybrid"]


class ChunkColumn(IntEnum):
    """The columns of `chunks.npy`: offsets in characters of the document, and in bytes of `texts.txt`."""

    DOCUMENT = 0
    START = 1
    END = 2
    FIRST_BYTE = 3
    LAST_BYTE = 4
    HEADING = 5
    GROUP = 6


class StoredDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document without its text; `digest` is the SHA-256 of what was read of it."""

    id: str
    source: str
    digest: str
    title: str = ""
    metadata: Mapping[str, str] = {}
    access: tuple[str, ...] = ()


class Heading(Struct, frozen=True, array_like=True):
    """The path of headings above a chunk."""

    text: str


class StorePlace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the vectors of an index are that are not in its files.

    `kind` is that of the store, `name` what the vectors are called there, in `schema` where a store has such. `mark`
    tells what was made for this index from what somebody else calls the same. `url` and `key` are the names of the
    variables that have the address and a key, `grpc` that of a second address where a store has such.
    """

    kind: str
    name: str
    mark: str
    url: str
    key: str = ""
    schema: str = ""
    grpc: str = ""


@decodable
class IndexFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of an index.

    `groups` has the access labels of each group of chunks; the empty list is for everybody. `dimension` is 0 and
    `embedder` empty without vectors. `embedded` counts the chunks that this version embedded, `listed` those that the
    graphs cannot find and that are compared one by one. `store` is set where the vectors are in no file.
    """

    format: int
    search: SearchMode
    documents: int
    chunks: int
    tokens: int
    overlap: int
    groups: tuple[tuple[str, ...], ...]
    dimension: int = 0
    embedder: str = ""
    embedded: int = 0
    listed: int = 0
    store: StorePlace | None = None
    unreadable: tuple[Unreadable, ...] = ()


def notes_of(facts: IndexFacts) -> tuple[str, ...]:
    """The first documents that were left out, each with its reason."""
    return tuple(f"{each.source} {each.reason}" for each in facts.unreadable[:MOST_NOTES])


def write_facts(directory: Path, facts: IndexFacts) -> None:
    """Write `index.json`, the last file of an index."""
    (directory / FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")


def read_facts(directory: Path, formats: Collection[int] = (FORMAT,)) -> IndexFacts:
    """Read `index.json`. Raises PlimsollError for a directory that is no index of one of these formats."""
    path = directory / FACTS
    hint = "run again, to build the index anew"
    try:
        facts = msgspec.json.decode(path.read_bytes(), type=IndexFacts)
    except (*UNREADABLE, OSError) as error:
        raise PlimsollError(f"this is no index: {error}", where=str(path), hint=hint) from error
    if facts.format not in formats:
        raise PlimsollError(f"the index has the format {facts.format}, not {FORMAT}", where=str(path), hint=hint)
    return facts
