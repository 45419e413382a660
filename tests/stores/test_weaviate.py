"""Weaviate: a large collection, a server that goes, other people's collections, keys, and what is never shown."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from msgspec.structs import replace

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.naming import fresh_name
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoreError
from tests.servers import free_port
from tests.stores.places import WeaviatePlaces
from tests.stores.test_contract import DIMENSION, drawn, filled, nearest
from tests.stores.weaviate_server import KEY, READER, WeaviateServer, running_weaviate

SETTINGS = StorePlace(kind="weaviate", name="", mark="", url="TEST_WEAVIATE")
NOBODY = "a port where nobody listens"


def test_a_large_collection_gives_as_many_as_are_asked_for_of_those_that_may_be_seen(weaviate: WeaviateServer) -> None:
    vectors, question = drawn(3000), drawn(1, seed=2)[0]
    near = nearest(vectors, question, list(range(3000)), 3000)
    few, many = near[-5:], near[:-5]
    store = WeaviatePlaces().create(DIMENSION)
    for group, rows in ((0, sorted(many)), (1, sorted(few))):
        store.put(group, rows, vectors[rows])
    store.finish()
    assert [each.row for each in store.search(question, 10, [1], [])] == few
    hidden = near[:1500]
    assert [each.row for each in store.search(question, 1200, [0, 1], hidden)] == near[1500:2700]
    assert len(store.get(range(3000))) == 3000
    store.delete(hidden)
    assert store.count() == 1500
    store.drop()
    store.close()


def test_a_server_that_goes_and_comes_back_fails_the_calls_between_and_no_other(weaviate: WeaviateServer) -> None:
    vectors = drawn(9)
    places = WeaviatePlaces()
    store = filled(places, vectors)
    weaviate.stop()
    try:
        for act in (
            lambda: store.search(vectors[0], 3, [0], []),
            lambda: store.delete([1]),
            store.count,
            store.drop,
            lambda: places.reopen(DIMENSION),
        ):
            with pytest.raises(StoreError, match=r"Weaviate at 127.0.0.1:\d+ does not answer"):
                act()
    finally:
        weaviate.start()
    found = [each.row for each in store.search(vectors[0], 20, [0, 1, 2], [])]
    assert found == nearest(vectors, vectors[0], list(range(9)), 9)
    assert store.count() == 9
    store.close()


def test_threads_share_a_place(weaviate: WeaviateServer) -> None:
    vectors = drawn(60)
    store = filled(WeaviatePlaces(), vectors)
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


def test_two_applications_in_one_server_have_collections_of_their_own(weaviate: WeaviateServer) -> None:
    ours, theirs = WeaviatePlaces(), WeaviatePlaces()
    first, second = filled(ours, drawn(6)), filled(theirs, drawn(9, seed=3))
    first.drop()
    first.drop()
    assert second.count() == 9
    with pytest.raises(StoreError, match="has not the vectors of this version"):
        ours.reopen(DIMENSION)
    with pytest.raises(StoreError, match="refuses"):
        first.search(drawn(1)[0], 1, [0], [])
    second.close()
    first.close()


def test_a_collection_that_is_not_what_was_made_is_refused(weaviate: WeaviateServer) -> None:
    places = WeaviatePlaces()
    filled(places, drawn(3)).close()
    with pytest.raises(StoreError, match="already exists"):
        KINDS["weaviate"].create(places.place, DIMENSION)
    store = places.reopen(DIMENSION)
    store.drop()
    name = f"P{places.place.name[1:]}_{places.place.mark}"
    theirs = {"class": name, "description": "mine", "properties": [{"name": "text", "dataType": ["text"]}]}
    assert httpx.post(f"{weaviate.url}/v1/schema", json=theirs).status_code == 200
    with pytest.raises(StoreError, match="is not that of vectors of 16 numbers which was made for the index"):
        places.reopen(DIMENSION)
    store.close()


def test_what_is_no_number_is_refused_and_a_vector_of_zeros_is_found(weaviate: WeaviateServer) -> None:
    vectors = drawn(3)
    vectors[1] = 0
    store = filled(WeaviatePlaces(), vectors)
    assert {each.row for each in store.search(vectors[0], 3, [0, 1, 2], [])} == {0, 1, 2}
    with pytest.raises(StoreError, match="no number"):
        store.put(0, [9], np.full((1, DIMENSION), np.nan, dtype=np.float32))
    assert store.count() == 3
    store.close()


@pytest.fixture
def locked(weaviate: WeaviateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeaviateServer]:
    """A server that asks for a key."""
    with running_weaviate(tmp_path, keys=True) as server:
        monkeypatch.setenv("TEST_WEAVIATE", server.url)
        monkeypatch.setenv("TEST_WEAVIATE_GRPC", server.grpc)
        monkeypatch.setenv("TEST_KEY", KEY)
        yield server


def test_a_key_opens_a_server_and_one_that_may_only_read_searches_and_changes_nothing(
    locked: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, grpc="TEST_WEAVIATE_GRPC")
    with pytest.raises(StoreError, match="refuses the key") as raised:
        PLACES["weaviate"].settle(settings)
    assert raised.value.hint == "correct the file: `key: {env: NAME}`"
    name, mark = fresh_name("manuals")
    place = replace(PLACES["weaviate"].settle(replace(settings, key="TEST_KEY")), name=name, mark=mark)
    vectors = drawn(4)
    store = KINDS["weaviate"].create(place, DIMENSION)
    store.put(0, range(4), vectors)
    store.close()
    monkeypatch.setenv("TEST_KEY", READER)
    reading = KINDS["weaviate"].open(place, DIMENSION)
    assert reading.search(vectors[2], 1, [0], [])[0].row == 2
    changes: list[Callable[[], object]] = [
        lambda: reading.delete([2]),
        lambda: reading.put(0, [9], vectors[:1]),
        reading.drop,
    ]
    for change in changes:
        with pytest.raises(StoreError, match=r"refuses|does not take 1 of 1 vectors: .* forbidden"):
            change()
    assert reading.count() == 4
    reading.close()
    monkeypatch.setenv("TEST_KEY", "hunter2")
    with pytest.raises(StoreError, match="refuses the key") as raised:
        KINDS["weaviate"].open(place, DIMENSION)
    assert "hunter2" not in f"{raised.value}{raised.value.__cause__}"
    assert raised.value.hint == "correct TEST_KEY"


def test_the_descriptor_of_its_messages_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    from plimsoll.stores.weaviate.library import DESCRIPTOR

    made = tmp_path / "made.binpb"
    argv = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(DESCRIPTOR.parent), f"--descriptor_set_out={made}"]
    subprocess.run([*argv, "weaviate.proto"], check=True, timeout=50)
    assert made.read_bytes() == DESCRIPTOR.read_bytes()


class Meta:
    """What the REST API of a server says of itself and of its collections, and no gRPC."""

    def __init__(self, version: object) -> None:
        answers = {"/v1/meta": {"version": version, "hostname": "x"}, "/v1/schema": {"classes": []}}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(answers[self.path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.32.9", "has version 1.32.9, and 1.33 or newer is needed"),
        ("1.100.0", "does not answer: gRPC at 127.0.0.1"),
        (None, "does not say its version"),
        ("9" * 10_000, "does not say its version"),
        ({"a": 1}, "does not say its version"),
    ],
)
def test_a_server_that_is_too_old_or_has_no_grpc_here_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, version: object, message: str
) -> None:
    server = Meta(version)
    monkeypatch.setenv("TEST_WEAVIATE", server.url)
    monkeypatch.setenv("TEST_WEAVIATE_GRPC", f"http://127.0.0.1:{free_port()}")
    try:
        with pytest.raises(StoreError, match=message) as raised:
            PLACES["weaviate"].settle(replace(SETTINGS, grpc="TEST_WEAVIATE_GRPC"))
        assert raised.value.hint
    finally:
        server.close()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TEST_WEAVIATE", "", "the variable TEST_WEAVIATE is not set"),
        ("TEST_WEAVIATE", "weaviate:8080", "the value of TEST_WEAVIATE is no address of a server"),
        ("TEST_WEAVIATE", "https://user:hunter2@host", "the value of TEST_WEAVIATE is no address of a server"),
        ("TEST_WEAVIATE", "https://host?hunter2", "the value of TEST_WEAVIATE is no address of a server"),
        ("TEST_WEAVIATE", NOBODY, "does not answer: ConnectError"),
        ("TEST_WEAVIATE_GRPC", "host:hunter2", "the value of TEST_WEAVIATE_GRPC is no address of a server"),
        ("TEST_KEY", "", "the variable TEST_KEY is not set"),
        ("TEST_KEY", "hunter2\nx", "has no key in it"),
    ],
)
def test_an_address_or_a_key_that_is_none_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv("TEST_WEAVIATE", "http://127.0.0.1:1")
    monkeypatch.setenv("TEST_WEAVIATE_GRPC", "http://127.0.0.1:1")
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}" if value == NOBODY else value)
    with pytest.raises(StoreError, match=message) as raised:
        PLACES["weaviate"].settle(replace(SETTINGS, grpc="TEST_WEAVIATE_GRPC", key="TEST_KEY"))
    assert "hunter2" not in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("url", "grpc"),
    [
        ("http://weaviate:8080", ("http", "weaviate", 50051)),
        ("https://weaviate.example", ("https", "weaviate.example", 50051)),
        (
            "https://abc.c0.europe-west3.gcp.weaviate.cloud",
            ("https", "grpc-abc.c0.europe-west3.gcp.weaviate.cloud", 443),
        ),
    ],
)
def test_its_grpc_is_where_weaviate_has_it_unless_the_file_says_where(
    monkeypatch: pytest.MonkeyPatch, url: str, grpc: tuple[str, str, int]
) -> None:
    from plimsoll.stores.weaviate.address import endpoints_of

    monkeypatch.setenv("TEST_WEAVIATE", url)
    monkeypatch.setenv("TEST_WEAVIATE_GRPC", "https://other:443")
    assert endpoints_of(SETTINGS).calls == grpc
    assert endpoints_of(replace(SETTINGS, grpc="TEST_WEAVIATE_GRPC")).calls == ("https", "other", 443)
