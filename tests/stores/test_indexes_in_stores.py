"""Indexes whose vectors are in a store: they answer like those with files, and believe no store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from plimsoll.errors import PlimsollError
from plimsoll.indexes.building import IndexBuilder, Settings
from plimsoll.indexes.documents import Document
from plimsoll.indexes.earlier import Earlier
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.layout import EMBEDDER, IndexFacts, StorePlace
from plimsoll.indexes.reading import SearchIndex
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.naming import fresh_name
from plimsoll.stores.opening import open_index, open_vectors
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoredVector, StoreError, VectorStore
from plimsoll.stores.stored_vectors import StoredVectors
from plimsoll.stores.writing import StoreWriter
from tests.indexes.building import build_registered, document
from tests.indexes.embedding_model import write_model
from tests.stores.places import FileStore
from tests.stores.postgres_server import PostgresServer

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array


HOSTILE = (
    "it's",
    'a "quote"',
    "nul\0byte",
    "'); DROP TABLE x; --",
    "ü\u202e\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 100_000,
)
DOCUMENTS = [
    document("a", "oil leak", "north"),
    document("b", "overdue invoice", "office"),
    document("c", "bearing noise", "north", "south"),
    document("d", "A cat."),
]


def build(
    directory: Path, documents: Sequence[Document], earlier: Path | None = None, settings: StorePlace | None = None
) -> IndexFacts:
    """Build an index with its vectors in the database of TEST_DATABASE."""
    directory.mkdir()
    embedder = Embedder(write_model(directory / Path(EMBEDDER).parent), threads=1)
    settled = PLACES["postgres"].settle(settings or StorePlace(kind="postgres", name="", mark="", url="TEST_DATABASE"))
    name, mark = fresh_name("manuals")
    place = replace(settled, name=name, mark=mark)
    store = KINDS["postgres"].create(place, embedder.dimension)
    builder = IndexBuilder(
        directory, Settings(search="hybrid", threads=1), embedder, lambda _: None, StoreWriter(store, place)
    )
    facts = builder.build(documents, Earlier(earlier, open_vectors) if earlier else None)
    store.close()
    return facts


def found(index: SearchIndex, question: str, labels: tuple[str, ...] | None = None) -> list[tuple[str, float]]:
    return [(hit.id, round(hit.score, 3)) for hit in index.search(question, 9, labels)]


def test_an_index_in_a_database_answers_like_one_in_files(database: str, tmp_path: Path) -> None:
    facts = build(tmp_path / "1", DOCUMENTS)
    assert facts.store is not None
    assert not list((tmp_path / "1").glob("*.usearch"))
    outside = open_index(tmp_path / "1", 1)
    files = open_index(build_registered(tmp_path / "2", DOCUMENTS).parent, 1)
    for question in ("leak", "payment", "animal oil", "bearing"):
        for labels in (None, (), ("north",), ("office", "south")):
            asked = [dict(found(each, question, labels)) for each in (outside, files)]
            assert asked[0] == pytest.approx(asked[1], abs=2e-3)


def test_documents_with_hostile_names_are_found_deleted_and_change_nothing_else(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    documents = [
        replace(document(name, "oil leak"), metadata={name: name}, title=name, access=(name,)) for name in HOSTILE
    ]
    build(tmp_path / "1", documents)
    index = open_index(tmp_path / "1", 1, tmp_path / "changes.jsonl")
    assert {hit.id for hit in index.search("oil", 9)} == set(HOSTILE)
    for name in HOSTILE:
        assert [hit.id for hit in index.search("oil", 9, (name,))] == [name]
    index.delete([HOSTILE[3]])
    assert {hit.id for hit in index.search("oil", 9)} == set(HOSTILE) - {HOSTILE[3]}
    [(table,)] = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database)
    columns = server.execute(
        f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'", database
    )
    assert {name for (name,) in columns} == {"chunk", "part", "embedding"}, "nothing of a document is in the database"


def test_what_is_deleted_is_in_no_row_and_what_is_changed_is_found_as_it_is_now(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    facts = build(tmp_path / "1", DOCUMENTS)
    assert facts.store is not None
    index = open_index(tmp_path / "1", 1, tmp_path / "changes.jsonl")
    assert index.changing is not None
    index.changing.put([document("d", "An overdue payment.")])
    index.delete(["a", "unknown"])
    assert found(index, "leak")[0][0] != "a"
    assert {name for name, _ in found(index, "payment")[:2]} == {"b", "d"}
    assert server.execute(f"SELECT count(*) FROM public.{facts.store.name}", database) == [(3,)]
    again = open_index(tmp_path / "1", 1, tmp_path / "changes.jsonl")
    assert found(again, "payment") == found(index, "payment")
    with pytest.raises(StoreError, match="1 of 4 vectors are missing"):
        open_index(tmp_path / "1", 1)


def test_who_may_only_read_searches_and_changes_nothing(
    server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "1", DOCUMENTS)
    server.execute("CREATE ROLE looking LOGIN PASSWORD 'looking'")
    server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looking", database)
    try:
        monkeypatch.setenv("TEST_DATABASE", server.url(database, "looking", "looking"))
        index = open_index(tmp_path / "1", 1, tmp_path / "changes.jsonl")
        assert found(index, "payment")[0][0] == "b"
        with pytest.raises(PlimsollError, match=r"their vectors are still in the store: .* permission denied"):
            index.delete(["b"])
        assert "b" not in dict(found(index, "payment"))
    finally:
        server.execute("DROP OWNED BY looking", database)
        server.execute("DROP ROLE looking")
    monkeypatch.setenv("TEST_DATABASE", server.url(database))
    index = open_index(tmp_path / "1", 1, tmp_path / "changes.jsonl")
    index.delete(["b"])
    assert index.vectors is not None
    assert index.vectors.vectors(1, [1]) == {}


def test_a_new_version_embeds_only_what_changed_and_leaves_the_one_before_as_it_is(
    database: str, tmp_path: Path
) -> None:
    assert build(tmp_path / "1", DOCUMENTS).embedded == 4
    before = open_index(tmp_path / "1", 1)
    second = build(tmp_path / "2", [*DOCUMENTS, document("e", "The dog.")], tmp_path / "1")
    assert (second.chunks, second.embedded) == (5, 1)
    assert found(before, "dog")[0][0] == "d"
    assert found(open_index(tmp_path / "2", 1), "dog")[0][0] == "e"


def test_vectors_move_between_files_and_a_database_without_being_computed_again(database: str, tmp_path: Path) -> None:
    build_registered(tmp_path / "1", DOCUMENTS)
    assert build(tmp_path / "2", DOCUMENTS, tmp_path / "1").embedded == 0
    (tmp_path / "3").mkdir()
    embedder = Embedder(write_model(tmp_path / "3" / "embedder"), threads=1)
    builder = IndexBuilder(tmp_path / "3", Settings(search="dense", threads=1), embedder, lambda _: None)
    assert builder.build(DOCUMENTS, Earlier(tmp_path / "2", open_vectors)).embedded == 0


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE {} SET embedding = (SELECT embedding FROM {} WHERE chunk = 1) WHERE chunk = 0",
            "is not the one that was put in",
        ),
        (
            "UPDATE {} SET part = (SELECT part FROM {} WHERE chunk = 3) WHERE chunk = 0",
            "is not the one that was put in",
        ),
        ("DELETE FROM {} WHERE chunk = 2", "1 of 4 vectors are missing in the store"),
        (
            "INSERT INTO {} SELECT 4, part, embedding FROM {} WHERE chunk = 0",
            "has 1 vectors that are not of this version",
        ),
        ("UPDATE {} SET chunk = 77 WHERE chunk = 0", "the store has a chunk 77, and the index has 4"),
        ("DROP TABLE {}", "are not in this database"),
    ],
)
def test_rows_that_somebody_has_changed_are_an_error_and_no_passage(
    server: PostgresServer, database: str, tmp_path: Path, statement: str, message: str
) -> None:
    facts = build(tmp_path / "1", DOCUMENTS)
    assert facts.store is not None
    server.execute(statement.format(*[f"public.{facts.store.name}"] * statement.count("{}")), database)
    with pytest.raises(PlimsollError, match=message):
        open_index(tmp_path / "1", 1).search("oil", 9)


def test_an_index_is_registered_only_while_its_store_has_what_was_put_in(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    from plimsoll.runtime.store_check import check

    facts = build(tmp_path / "1", DOCUMENTS)
    assert facts.store is not None
    check(tmp_path / "1")
    server.execute(f"DELETE FROM public.{facts.store.name} WHERE chunk = 2", database)
    with pytest.raises(StoreError, match="1 of 4 vectors are missing in the store"):
        check(tmp_path / "1")


class Liar:
    """A store that answers what it likes."""

    def __init__(self, answer: Callable[[FileStore], list[StoredVector]], store: FileStore) -> None:
        self._answer, self._store = answer, store

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        return self._answer(self._store)

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        return self._answer(self._store)

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None: ...

    def finish(self) -> None: ...

    def delete(self, rows: Sequence[int]) -> None: ...

    def count(self) -> int:
        return 0

    def drop(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "answer",
    [
        lambda store: store.get([1]),
        lambda store: store.get([2]),
        lambda store: [StoredVector(0, 0, store.get([2])[0].vector)],
        lambda store: [StoredVector(0, 1, store.get([0])[0].vector)],
        lambda store: [StoredVector(-1, 0, store.get([0])[0].vector)],
        lambda store: [StoredVector(3, 0, store.get([0])[0].vector)],
        lambda store: [StoredVector(0, 0, store.get([0])[0].vector * np.float32(1.0001))],
        lambda store: [StoredVector(0, 0, store.get([0])[0].vector[:8])],
    ],
    ids=["another's", "hidden", "moved", "group", "below", "above", "altered", "short"],
)
def test_a_store_that_lies_shows_nobody_what_she_may_not_see(
    tmp_path: Path, answer: Callable[[FileStore], list[StoredVector]]
) -> None:
    from plimsoll.stores.digests import vector_digest

    vectors = np.eye(3, 16, dtype=np.float32)
    groups = np.asarray([0, 1, 0])
    store = FileStore(tmp_path, 16)
    store.put(0, [0, 2], vectors[[0, 2]])
    store.put(1, [1], vectors[[1]])
    digests = np.stack(
        [np.frombuffer(vector_digest(int(g), v), dtype=np.uint8) for g, v in zip(groups, vectors, strict=True)]
    )
    lying: VectorStore = Liar(answer, store)
    stored = StoredVectors(lying, "a store", groups, digests)
    with pytest.raises(StoreError):
        stored.search(vectors[0], 3, [0], {2})
    with pytest.raises(StoreError):
        stored.similarities(vectors[0], {0: [0]} if answer(store)[0].row != 0 else {0: [0, 2]})


def test_a_build_that_fails_takes_its_table_with_it(server: PostgresServer, database: str, tmp_path: Path) -> None:
    from plimsoll.runtime.index_order import IndexOrder
    from plimsoll.runtime.indexer import build as run_build

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "out").mkdir()
    settled = PLACES["postgres"].settle(StorePlace(kind="postgres", name="", mark="", url="TEST_DATABASE"))
    name, mark = fresh_name("manuals")
    order = IndexOrder(
        documents=str(tmp_path / "pages"),
        output=str(tmp_path / "out"),
        search="dense",
        tokens=64,
        overlap=16,
        model=str(write_model(tmp_path / "model")),
        store=replace(settled, name=name, mark=mark),
        threads=1,
    )
    with pytest.raises(PlimsollError, match="could be read"):
        run_build(order)
    assert server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database) == []
