"""An index in a database from the file to the answer: plan, run, search, service, deletion, clean."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from tests.indexes.embedding_model import write_model
from tests.servers import free_port
from tests.stores.postgres_server import PASSWORD, QUOTED, PostgresServer, running_postgres
from tests.stores.weaviate_server import WeaviateServer, running_weaviate

from .conftest import Plimsoll, answer, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SPEC = """\
  datasets: {orders: {source: orders.csv}}
  models: {small: {source: made/model.onnx, tokenizer: made/tokenizer.json}}
  indexes:
    log: {documents: orders, text: what, id: nr, access: team, embed: small, store: {STORE}}
"""
LIMIT = 170
"""Seconds of a command: clients of stores take long to import on a busy machine, in each process that needs them."""
POSTGRES = "postgres: {url: {env: PG}}"
SERVICE = "  services: {help: {index: log}}\n"
ORDERS = "nr,what,team\n7,oil leak,north\n8,overdue invoice,office\n9,bearing noise,north\n"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def tables(server: PostgresServer, database: str) -> set[str]:
    return {name for (name,) in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database)}


@pytest.mark.series
def test_an_index_in_a_database_is_built_searched_changed_and_cleaned(
    plimsoll: Plimsoll, tmp_path: Path, server: PostgresServer
) -> None:
    database = server.database()
    url = server.url(database)
    write(tmp_path, SPEC.replace("STORE", POSTGRES))
    write_model(tmp_path / "made")
    (tmp_path / "orders.csv").write_text(ORDERS)
    for value, message in (
        ("", "the variable PG is not set"),
        (url.replace(QUOTED, "wrong"), "refuses the password in PG"),
        (url.rpartition(":")[0] + f":{free_port()}/x", "does not listen"),
    ):
        refused = plimsoll("plan", PG=value)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
        assert "plimsoll.yaml:8:" in refused.stderr
        assert plimsoll("run", PG=value).returncode == 2
    assert tables(server, database) == set()

    ran = answer(plimsoll("run", "--json", PG=url))
    assert (ran["state"], ran["indexes"]["log"]["embedded"]) == ("done", 3)
    hits = answer(plimsoll("search", "log", "payment", "--json", PG=url))["hits"]
    assert hits[0]["id"] == "8"
    seen = answer(plimsoll("search", "log", "payment", "--access", "north", "--json", PG=url))["hits"]
    assert {each["id"] for each in seen} == {"7", "9"}
    gone = plimsoll("search", "log", "payment", PG=url.rpartition("/")[0] + "/postgres")
    assert (gone.returncode, "no extension `vector`" in gone.stderr) == (1, True), gone.stderr

    (tmp_path / "orders.csv").write_text(ORDERS + "10,a dog barks,office\n")
    again = answer(plimsoll("run", "--json", PG=url))
    assert (again["indexes"]["log"]["version"], again["indexes"]["log"]["embedded"]) == (2, 1)
    assert len(tables(server, database)) == 2
    assert answer(plimsoll("search", "log@1", "animal", "--top", "1", "--json", PG=url))["hits"][0]["id"] != "10"
    told = plimsoll("models", "indexes.log@2", "--verify").stdout
    assert "postgres public.plimsoll_log_" in told

    server.execute("CREATE TABLE plimsoll_theirs (precious text)", database)
    assert plimsoll("models", "indexes.log@1", "--delete").returncode == 0
    would = answer(plimsoll("clean", "--keep", "1", "--json"))
    assert [
        each["name"].startswith("postgres public.plimsoll_log_") for each in would["items"] if each["kind"] == "vectors"
    ] == [True]
    without = answer(plimsoll("clean", "--keep", "1", "--yes", "--json", PG=""))
    assert any("stays: the variable PG is not set" in note for note in without["notes"]), without
    assert len(tables(server, database)) == 3
    cleaned = answer(plimsoll("clean", "--keep", "1", "--yes", "--json", PG=url))
    assert len(tables(server, database)) == 2, cleaned
    assert "plimsoll_theirs" in tables(server, database)
    assert answer(plimsoll("search", "log", "animal", "--top", "1", "--json", PG=url))["hits"][0]["id"] == "10"

    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert PASSWORD.encode() not in content, path
        assert QUOTED.encode() not in content, path


class Store(Protocol):
    """A server whose store a service uses."""

    words: str
    """What `store` is in the file."""
    name: str
    """What an error calls it."""

    def variables(self) -> dict[str, str]: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def sizes(self) -> set[int]:
        """The numbers of vectors of all versions, as somebody else counts them."""
        ...


class InPostgres:
    words, name = POSTGRES, "PostgreSQL"

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._database = server, server.database()
        self.stop, self.start = server.stop, server.start

    def variables(self) -> dict[str, str]:
        return {"PG": self._server.url(self._database)}

    def sizes(self) -> set[int]:
        names = tables(self._server, self._database)
        return {self._server.execute(f"SELECT count(*) FROM public.{name}", self._database)[0][0] for name in names}


class InWeaviate:
    words, name = "weaviate: {url: {env: W}, grpc: {env: WG}}", "Weaviate"

    def __init__(self, server: WeaviateServer) -> None:
        self._server = server
        self.stop, self.start = server.stop, server.start

    def variables(self) -> dict[str, str]:
        return {"W": self._server.url, "WG": self._server.grpc}

    def sizes(self) -> set[int]:
        names = [each["class"] for each in httpx.get(f"{self._server.url}/v1/schema").json()["classes"]]
        query = "{Aggregate {" + " ".join(f"{name} {{meta {{count}}}}" for name in names) + "}}"
        found = httpx.post(f"{self._server.url}/v1/graphql", json={"query": query}).json()["data"]["Aggregate"]
        return {each[0]["meta"]["count"] for each in found.values()}


@pytest.fixture(
    params=[
        "postgres",
        pytest.param("weaviate", marks=pytest.mark.series),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("store")
    if request.param == "weaviate":
        with running_weaviate(directory) as weaviate:
            yield InWeaviate(weaviate)
    else:
        yield InPostgres(request.getfixturevalue("server"))


@pytest.mark.series
def test_a_kept_service_moves_to_the_next_version_while_it_answers_and_deletes_from_it(
    plimsoll: Plimsoll, tmp_path: Path, store: Store
) -> None:
    variables = store.variables()
    write(tmp_path, SPEC.replace("STORE", store.words) + SERVICE)
    write_model(tmp_path / "made")
    (tmp_path / "orders.csv").write_text(ORDERS)
    said = plimsoll("up", limit=LIMIT, **variables)
    assert "(POST /v2/indexes/log/search)" in said.stdout, said.stdout + said.stderr
    ending, seen = threading.Event(), Counter[tuple[int, str]]()
    try:
        at = answer(plimsoll("status", "--json"))["services"]["help"]["url"]
        token = (tmp_path / ".plimsoll" / "services" / "help.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        asked = {"query": "payment", "top": 9, "access": ["north", "office"]}

        def search() -> None:
            while not ending.wait(0.2):
                got = httpx.post(f"{at}/v2/indexes/log/search", json=asked, headers=headers, timeout=50)
                seen[got.status_code, got.json()["version"]] += 1

        asking = threading.Thread(target=search)
        asking.start()
        (tmp_path / "orders.csv").write_text(ORDERS + "10,overdue payment,office\n")
        ran = answer(plimsoll("run", "--json", limit=LIMIT, **variables))
        assert [(each["old"], each["new"], each["moved"]) for each in ran["taken_over"]] == [("1", "2", True)]
        done = httpx.post(f"{at}/v2/indexes/log/documents/delete", json={"ids": ["8"]}, headers=headers, timeout=50)
        assert done.status_code == 200, done.text
        now = httpx.post(f"{at}/v2/indexes/log/search", json=asked, headers=headers, timeout=50).json()
        assert {hit["id"] for hit in now["hits"]} == {"7", "9", "10"}
        ending.set()
        asking.join()
        store.stop()
        try:
            lost = httpx.post(f"{at}/v2/indexes/log/search", json=asked, headers=headers, timeout=50)
            assert (lost.status_code, store.name in lost.text) == (503, True), lost.text
            by_words = httpx.post(
                f"{at}/v2/indexes/log/search", json={**asked, "search": "lexical"}, headers=headers, timeout=50
            )
            assert by_words.status_code == 200, by_words.text
        finally:
            store.start()
        back = httpx.post(f"{at}/v2/indexes/log/search", json=asked, headers=headers, timeout=50)
        assert back.status_code == 200, back.text
    finally:
        ending.set()
        plimsoll("down")
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"1", "2"}
    assert store.sizes() == {3}, "of four rows of the second version one was deleted"
