"""Milvus by Milvus Lite: a server that goes, other people's collections, and what is never shown."""

from __future__ import annotations

import numpy as np
import pytest

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoreError
from tests.servers import free_port
from tests.stores.milvus_server import MilvusLite
from tests.stores.places import MilvusPlaces
from tests.stores.test_contract import DIMENSION, drawn, filled, nearest

SETTINGS = StorePlace(kind="milvus", name="", mark="", url="TEST_MILVUS")
NOBODY = "a port where nobody listens"


def test_a_server_that_goes_and_comes_back_fails_the_calls_between_and_no_other(
    milvus: MilvusLite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plimsoll.stores.milvus import collection, server

    monkeypatch.setattr(server, "LIMIT", 1.0)
    monkeypatch.setattr(collection, "LIMIT", 1.0)
    vectors = drawn(9)
    places = MilvusPlaces()
    store = filled(places, vectors)
    milvus.stop()
    try:
        for act in (
            lambda: store.search(vectors[0], 3, [0], []),
            lambda: store.delete([1]),
            store.count,
            store.drop,
            lambda: places.reopen(DIMENSION),
        ):
            with pytest.raises(StoreError, match=r"Milvus at 127.0.0.1:\d+ does not answer"):
                act()
    finally:
        milvus.start()
    monkeypatch.setattr(server, "LIMIT", 15.0)
    monkeypatch.setattr(collection, "LIMIT", 15.0)
    again = places.reopen(DIMENSION)
    assert again.search(vectors[0], 1, [0], [])[0].row == 0
    assert store.search(vectors[0], 1, [0], [])[0].row == 0
    assert store.count() == 9
    store.close()
    again.close()


def test_as_many_as_are_asked_for_come_of_those_that_may_be_seen(milvus: MilvusLite) -> None:
    vectors, question = drawn(600), drawn(1, seed=2)[0]
    store = filled(MilvusPlaces(), vectors, groups=2)
    hidden = nearest(vectors, question, list(range(0, 600, 2)), 150)
    rest = [row for row in range(0, 600, 2) if row not in hidden]
    assert [each.row for each in store.search(question, 500, [0], hidden)] == nearest(vectors, question, rest, 150)
    store.close()


def test_two_applications_in_one_server_have_collections_of_their_own(milvus: MilvusLite) -> None:
    ours, theirs = MilvusPlaces(), MilvusPlaces()
    first, second = filled(ours, drawn(6)), filled(theirs, drawn(9, seed=3))
    with pytest.raises(StoreError, match="has a collection of this name"):
        KINDS["milvus"].create(theirs.place, DIMENSION)
    first.drop()
    first.drop()
    assert second.count() == 9
    with pytest.raises(StoreError, match="has not the vectors of this version"):
        ours.reopen(DIMENSION)
    with pytest.raises(StoreError, match="has no such collection any more"):
        first.search(drawn(1)[0], 1, [0], [])
    second.close()
    first.close()


def test_numbers_that_are_none_are_refused_and_nothing_of_them_stays(milvus: MilvusLite) -> None:
    store = MilvusPlaces().create(DIMENSION)
    with pytest.raises(StoreError, match="no number"):
        store.put(0, [1], np.full((1, DIMENSION), np.nan, dtype=np.float32))
    assert store.count() == 0
    store.close()


@pytest.mark.series
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TEST_MILVUS", "", "the variable TEST_MILVUS is not set"),
        ("TEST_MILVUS", "./milvus.db", "the value of TEST_MILVUS is no address of a server"),
        ("TEST_MILVUS", "https://user:hunter2@host", "the value of TEST_MILVUS is no address of a server"),
        ("TEST_MILVUS", NOBODY, "does not answer"),
        ("TEST_KEY", "", "the variable TEST_KEY is not set"),
        ("TEST_KEY", "hunter2\nx", "has no key in it"),
    ],
)
def test_an_address_or_a_key_that_is_none_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    from plimsoll.stores.milvus import server

    monkeypatch.setattr(server, "LIMIT", 1.0)
    monkeypatch.setenv("TEST_MILVUS", "http://127.0.0.1:1")
    monkeypatch.setenv("TEST_KEY", "root:secret")
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}" if value == NOBODY else value)
    with pytest.raises(StoreError, match=message) as raised:
        PLACES["milvus"].settle(StorePlace(kind="milvus", name="", mark="", url="TEST_MILVUS", key="TEST_KEY"))
    assert "hunter2" not in str(raised.value)
    assert raised.value.hint
