"""What holds for every store.

They are the files of an index, PostgreSQL, Weaviate, Milvus Lite, Qdrant's client, and Pinecone by its contract.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plimsoll.stores.digests import vector_digest
from plimsoll.stores.port import StoreError, VectorStore
from tests.stores.pinecone_stand_in import KEY, PineconeStandIn
from tests.stores.places import (
    FilePlaces,
    MilvusPlaces,
    PineconePlaces,
    Places,
    PostgresPlaces,
    QdrantPlaces,
    WeaviatePlaces,
)

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array


pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
DIMENSION = 16


@pytest.fixture(
    params=[
        "files",
        pytest.param("postgres", marks=(pytest.mark.slow, pytest.mark.timeout(240))),
        # Its library takes long to import on a busy machine.
        pytest.param("qdrant", marks=(pytest.mark.slow, pytest.mark.timeout(240))),
        pytest.param("weaviate", marks=(pytest.mark.slow, pytest.mark.series, pytest.mark.timeout(240))),
        pytest.param("milvus", marks=(pytest.mark.slow, pytest.mark.series, pytest.mark.timeout(240))),
        "pinecone",
    ]
)
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    if request.param == "postgres":
        request.getfixturevalue("database")
        yield PostgresPlaces()
    elif request.param == "weaviate":
        request.getfixturevalue("weaviate")
        yield WeaviatePlaces()
    elif request.param == "milvus":
        request.getfixturevalue("milvus")
        yield MilvusPlaces()
    elif request.param == "qdrant":
        if importlib.util.find_spec("qdrant_client") is None:
            pytest.skip("qdrant-client is not installed")
        yield QdrantPlaces(tmp_path / "qdrant")
    elif request.param == "pinecone":
        index = PineconeStandIn(DIMENSION)
        monkeypatch.setenv("TEST_PINECONE", index.url)
        monkeypatch.setenv("TEST_KEY", KEY)
        yield PineconePlaces()
        index.close()
    else:
        yield FilePlaces(tmp_path)


def drawn(count: int, seed: int = 1) -> Array:
    """Vectors of the length 1."""
    found: Array = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def filled(places: Places, vectors: Array, groups: int = 3) -> VectorStore:
    """Row n is in the group n modulo `groups`."""
    store = places.create(DIMENSION)
    for group in range(groups):
        rows = range(group, len(vectors), groups)
        store.put(group, rows, vectors[list(rows)])
    store.finish()
    return store


def nearest(vectors: Array, question: Array, rows: list[int], most: int) -> list[int]:
    return sorted(rows, key=lambda row: -float(vectors[row] @ question))[:most]


def test_the_nearest_of_the_groups_that_are_asked_for_come_first_and_nothing_else_comes(places: Places) -> None:
    vectors, question = drawn(90), drawn(1, seed=2)[0]
    store = filled(places, vectors)
    for groups in ([0], [1, 2], [0, 1, 2]):
        allowed = [row for row in range(90) if row % 3 in groups]
        found = store.search(question, 10, groups, [])
        assert [each.row for each in found] == nearest(vectors, question, allowed, 10)
        assert {each.group for each in found} <= set(groups)
    assert store.search(question, 10, [7], []) == []
    store.close()


def test_as_many_come_as_there_are_however_few_the_caller_may_see_and_however_many_are_hidden(places: Places) -> None:
    vectors, question = drawn(60), drawn(1, seed=2)[0]
    store = filled(places, vectors)
    allowed = [row for row in range(60) if row % 3 == 1]
    hidden = nearest(vectors, question, allowed, 15)
    found = store.search(question, 10, [1], hidden)
    assert [each.row for each in found] == nearest(vectors, question, [row for row in allowed if row not in hidden], 10)
    store.close()


def test_a_vector_comes_back_bit_for_bit_also_from_who_opens_the_place_later(places: Places) -> None:
    vectors = drawn(20)
    vectors[3] *= np.float32(1e-30)
    filled(places, vectors).close()
    store = places.reopen(DIMENSION)
    found = {each.row: each for each in store.get(range(25))}
    assert sorted(found) == list(range(20))
    for row, each in found.items():
        assert vector_digest(each.group, each.vector) == vector_digest(row % 3, vectors[row])
    assert store.count() == 20
    store.close()


def test_what_is_put_in_again_takes_the_place_of_what_was_there(places: Places) -> None:
    vectors, others = drawn(6), drawn(6, seed=9)
    store = places.create(DIMENSION)
    store.put(0, range(6), vectors)
    store.put(0, [2, 3], others[2:4])
    store.finish()
    assert store.count() == 6
    assert store.search(others[2], 1, [0], [])[0].row == 2
    store.close()


def test_what_is_deleted_is_found_in_no_way_and_a_second_time_is_no_error(places: Places) -> None:
    vectors = drawn(30)
    store = filled(places, vectors)
    for _ in range(2):
        store.delete([4, 5, 999])
    assert store.get([4, 5]) == []
    assert {each.row for each in store.search(vectors[4], 30, [0, 1, 2], [])} == set(range(30)) - {4, 5}
    assert store.count() == 28
    store.close()
    again = places.reopen(DIMENSION)
    assert again.get([4, 5]) == []
    again.close()


def test_an_empty_place_answers_with_nothing(places: Places) -> None:
    store = places.create(DIMENSION)
    store.finish()
    assert store.search(drawn(1)[0], 5, [0], []) == []
    assert (store.count(), list(store.get([1]))) == (0, [])
    store.delete([1])
    store.close()


def test_vectors_of_another_dimension_are_refused_by_who_puts_who_asks_and_who_opens(places: Places) -> None:
    store = filled(places, drawn(6))
    with pytest.raises(StoreError):
        store.put(0, [9], np.ones((1, DIMENSION + 1), dtype=np.float32))
    with pytest.raises(StoreError):
        store.search(np.ones(DIMENSION - 1, dtype=np.float32), 1, [0], [])
    assert store.count() == 6
    store.close()
    with pytest.raises(StoreError):
        places.reopen(DIMENSION * 2)
