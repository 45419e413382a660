"""Pinecone by its documented API: what an index must be, how its answers are read, and what is never shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.stores.kinds import KINDS
from plimsoll.stores.pinecone import namespace
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoreError
from tests.servers import free_port
from tests.stores.pinecone_stand_in import KEY, PineconeStandIn
from tests.stores.places import PineconePlaces
from tests.stores.test_contract import DIMENSION, drawn, filled, nearest

NOBODY = "a port where nobody listens"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PineconeStandIn]:
    made = PineconeStandIn(DIMENSION)
    monkeypatch.setenv("TEST_PINECONE", made.url)
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setattr(namespace, "_AGAIN", 0.01)
    yield made
    made.close()


def test_what_is_counted_later_than_it_is_taken_is_waited_for_and_not_for_ever(
    index: PineconeStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.uncounted = 4
    store = filled(PineconePlaces(), drawn(6))
    index.uncounted = 10_000
    monkeypatch.setattr(namespace, "VISIBLE_LIMIT", 0.1)
    with pytest.raises(StoreError, match="counts 0 of 6 vectors"):
        store.finish()
    store.close()


def test_more_results_than_one_answer_holds_come_in_several(index: PineconeStandIn) -> None:
    vectors, question = drawn(700), drawn(1, seed=2)[0]
    store = filled(PineconePlaces(), vectors, groups=1)
    found = [each.row for each in store.search(question, 500, [0], [3, 4])]
    assert found == nearest(vectors, question, [row for row in range(700) if row not in {3, 4}], 500)
    assert index.asked.count("/query") == 3
    store.close()


def test_an_index_of_another_metric_or_dimension_is_refused_before_anything_is_put_in(index: PineconeStandIn) -> None:
    places = PineconePlaces()
    with pytest.raises(StoreError, match=f"is an index of {DIMENSION} numbers, and the model gives 8"):
        KINDS["pinecone"].create(places.place, 8)
    index.metric = "euclidean"
    with pytest.raises(StoreError, match="is an index of the metric euclidean"):
        PLACES["pinecone"].settle(places.place)
    assert index.spaces == {}


def test_a_place_has_a_namespace_of_its_own_and_takes_no_other_with_it(index: PineconeStandIn) -> None:
    index.spaces["theirs"] = {"1": {"id": "1", "values": [1.0] * DIMENSION, "metadata": {}}}
    store = filled(PineconePlaces(), drawn(6))
    store.drop()
    store.drop()
    assert list(index.spaces) == ["theirs"]
    store.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, b"Forbidden", "refuses the key"),
        (429, b"{}", "takes no more requests now"),
        (500, b'{"message": "internal"}', "answers with 500: internal"),
        (503, b"\xff", "answers with 503"),
        (302, b"", "answers with 302"),
        (200, b"<html>", "something else than JSON"),
        (200, b"[" * 100_000, "something else than JSON"),
        (200, b'{"matches": [{"id": "x", "values": [], "metadata": {"part": 0}}]}', "not ours"),
        (200, b'{"matches": [{"id": "1"}, 7]}', "not ours"),
    ],
)
def test_an_answer_that_is_none_is_an_error_with_the_host_and_without_the_key(
    index: PineconeStandIn, status: int, body: bytes, message: str
) -> None:
    store = filled(PineconePlaces(), drawn(6))
    index.answers.append((status, body))
    with pytest.raises(StoreError, match=message) as raised:
        store.search(drawn(1)[0], 3, [0], [])
    assert "127.0.0.1" in raised.value.message
    assert KEY not in f"{raised.value}{raised.value.__cause__}"
    assert store.search(drawn(1)[0], 3, [0], [])
    store.close()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TEST_PINECONE", "", "the variable TEST_PINECONE is not set"),
        ("TEST_PINECONE", "my-index", "no address of an index"),
        ("TEST_PINECONE", "https://user:hunter2@host", "no address of an index"),
        ("TEST_PINECONE", "https://host:port", "no address of an index"),
        ("TEST_PINECONE", NOBODY, "does not answer: ConnectError"),
        ("TEST_KEY", "", "the variable TEST_KEY is not set"),
        ("TEST_KEY", "hunter2\nx", "has no key in it"),
        ("TEST_KEY", "hunter2", "refuses the key"),
    ],
)
def test_an_address_or_a_key_that_is_none_is_named_by_its_variable(
    index: PineconeStandIn, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    place = PineconePlaces().place
    # A port differs in each process, and a test has the same name in all of them.
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}" if value == NOBODY else value)
    with pytest.raises(StoreError, match=message) as raised:
        PLACES["pinecone"].settle(place)
    assert "hunter2" not in str(raised.value)
    assert raised.value.hint
