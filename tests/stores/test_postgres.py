"""PostgreSQL with pgvector: a large table, a server that goes, other people's tables, and what is never shown."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from msgspec.structs import replace

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.naming import fresh_name
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoreError
from tests.servers import free_port
from tests.stores.places import PostgresPlaces
from tests.stores.postgres_server import PASSWORD, QUOTED, PostgresServer
from tests.stores.test_contract import DIMENSION, drawn, filled, nearest

SETTINGS = StorePlace(kind="postgres", name="", mark="", url="TEST_DATABASE")


def test_a_large_table_is_searched_by_its_graph_and_a_few_that_may_be_seen_take_the_place_of_none(
    server: PostgresServer, database: str
) -> None:
    vectors, question = drawn(7000), drawn(1, seed=2)[0]
    places = PostgresPlaces()
    store = places.create(DIMENSION)
    near = nearest(vectors, question, list(range(7000)), 7000)
    few = near[-5:]
    for group, rows in ((0, sorted(near[:-5])), (1, sorted(few))):
        store.put(group, rows, vectors[rows])
    store.finish()
    assert [each.row for each in store.search(question, 10, [1], [])] == few
    found = [each.row for each in store.search(question, 10, [0, 1], [])]
    assert len(set(found) & set(near[:10])) >= 8, "a graph of neighbours misses few"
    hidden = near[:2000]
    found = [each.row for each in store.search(question, 10, [0, 1], hidden)]
    assert len(found) == 10
    assert not set(found) & set(hidden)
    indexes = {
        name for (name,) in server.execute("SELECT indexname FROM pg_indexes WHERE schemaname='public'", database)
    }
    assert f"{places.place.name}_near" in indexes
    store.close()


def test_a_server_that_goes_and_comes_back_fails_the_calls_between_and_no_other(
    server: PostgresServer, database: str
) -> None:
    vectors = drawn(9)
    store = filled(PostgresPlaces(), vectors)
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(
                StoreError, match=r"PostgreSQL at 127.0.0.1:\d+ (has gone away|does not listen|refuses)"
            ):
                store.search(vectors[0], 3, [0], [])
    finally:
        server.start()
    assert store.search(vectors[0], 1, [0], [])[0].row == 0
    # What waited for the next call is broken now, which is nobody's error.
    server.stop()
    server.start()
    assert store.search(vectors[0], 1, [0], [])[0].row == 0
    store.close()


def test_a_call_that_gets_no_answer_ends_within_its_limit(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from plimsoll.stores.postgres.address import read_address
    from plimsoll.stores.postgres.connections import Connections

    connections = Connections(read_address("TEST_DATABASE"))
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"did not answer within 0\.5 s"):
        connections.call(lambda each: each.execute("SELECT pg_catalog.pg_sleep(30)"), 0.5)
    assert time.monotonic() - began < 25
    assert connections.call(lambda each: each.execute("SELECT 1").fetchone()) == (1,)
    connections.close()


def test_threads_share_a_place(database: str) -> None:
    vectors = drawn(60)
    store = filled(PostgresPlaces(), vectors)
    wrong: list[int] = []

    def ask(row: int) -> None:
        for _ in range(5):
            if store.search(vectors[row], 1, [0, 1, 2], [])[0].row != row:
                wrong.append(row)

    asking = [threading.Thread(target=ask, args=(row,)) for row in range(10)]
    for each in asking:
        each.start()
    for each in asking:
        each.join(50)
    assert wrong == []
    store.close()


def test_two_applications_in_one_database_have_tables_of_their_own(server: PostgresServer, database: str) -> None:
    ours, theirs = PostgresPlaces(), PostgresPlaces()
    first, second = filled(ours, drawn(6)), filled(theirs, drawn(9, seed=3))
    first.drop()
    first.drop()
    assert second.count() == 9
    with pytest.raises(StoreError, match="not in this database"):
        ours.reopen(DIMENSION)
    second.close()
    first.close()


def test_a_table_of_somebody_else_is_neither_read_nor_changed_nor_dropped(
    server: PostgresServer, database: str
) -> None:
    name, mark = fresh_name('it\'s "an index"; DROP TABLE x')
    assert name.isidentifier()
    server.execute(f"CREATE TABLE public.{name} (precious text)", database)
    server.execute(f"INSERT INTO public.{name} VALUES ('kept')", database)
    place = replace(PLACES["postgres"].settle(SETTINGS), name=name, mark=mark)
    with pytest.raises(StoreError, match="already exists"):
        KINDS["postgres"].create(place, DIMENSION)
    with pytest.raises(StoreError, match="somebody else's"):
        KINDS["postgres"].open(place, DIMENSION)
    PLACES["postgres"].drop(place)
    assert server.execute(f"SELECT precious FROM public.{name}", database) == [("kept",)]


def test_what_somebody_made_of_a_table_keeps_it(server: PostgresServer, database: str) -> None:
    places = PostgresPlaces()
    store = filled(places, drawn(6))
    server.execute(f"CREATE VIEW seen AS SELECT chunk FROM public.{places.place.name}", database)
    with pytest.raises(StoreError, match="other objects depend on it"):
        store.drop()
    assert store.count() == 6
    store.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace(QUOTED, "hunter3"), "refuses the password in TEST_DATABASE"),
        (lambda url: url.replace("owner", "nobody-knows"), "refuses the password"),
        (lambda url: url.replace(f":{QUOTED}", ""), "wants a password, and TEST_DATABASE has none"),
        (lambda url: f"{url}-missing", "has no database of the name in TEST_DATABASE"),
        (lambda url: url.replace(QUOTED, PASSWORD), "no address of a database"),
        (lambda url: url.replace(QUOTED, "hunter2@x"), "no address of a database"),
        (lambda url: f"hunter2 {url}", "no address of a database"),
        (lambda url: url.replace("127.0.0.1", "hunter2.invalid"), "is at a host that is not known"),
        (lambda url: url.rpartition(":")[0] + f":{free_port()}/hunter2", "does not listen"),
        (lambda url: "", "the variable TEST_DATABASE is not set"),
        (lambda url: "\t", "the variable TEST_DATABASE is not set"),
        (lambda url: url.rpartition("/")[0] + "/postgres", "has no extension `vector`"),
    ],
)
def test_what_keeps_a_database_from_being_used_is_said_without_its_password(
    server: PostgresServer,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    change: object,
    message: str,
) -> None:
    assert callable(change)
    monkeypatch.setenv("TEST_DATABASE", change(server.url(database)))
    with pytest.raises(StoreError) as raised:
        PLACES["postgres"].settle(SETTINGS)
    assert message in raised.value.message
    assert raised.value.hint
    told = f"{raised.value}{raised.value.__cause__}"
    for part in ("hunter", "ss/w", "p@", "w%", QUOTED):
        assert part not in told.replace("hunter2.invalid", "")
    assert "Traceback" not in told


def test_a_schema_that_is_not_there_or_not_ours_is_named(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="no schema 'serach'"):
        PLACES["postgres"].settle(replace(SETTINGS, schema="serach"))
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'; CREATE SCHEMA closed", database)
    try:
        monkeypatch.setenv("TEST_DATABASE", server.url(database, "reader", "reader"))
        with pytest.raises(StoreError, match="lets this user make no table in closed"):
            PLACES["postgres"].settle(replace(SETTINGS, schema="closed"))
    finally:
        server.execute("DROP SCHEMA closed; DROP ROLE reader", database)


def test_numbers_that_are_none_are_refused_and_nothing_of_them_stays(database: str) -> None:
    store = PostgresPlaces().create(DIMENSION)
    with pytest.raises(StoreError, match="NaN not allowed"):
        store.put(0, [1], np.full((1, DIMENSION), np.nan, dtype=np.float32))
    assert store.count() == 0
    store.close()
