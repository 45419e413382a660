from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.milvus_server import MilvusLite, running_milvus
from tests.stores.postgres_server import PostgresServer, running_postgres
from tests.stores.weaviate_server import WeaviateServer, running_weaviate


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a PostgreSQL takes seconds, and on a busy machine many. Weaviate and Milvus are others of its kind."""
    for item in items:
        started = {"server", "weaviate", "milvus"} & set(getattr(item, "fixturenames", ()))
        if started:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(240))
        if started - {"server"}:
            item.add_marker(pytest.mark.series)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of stores; those that stop it start it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def weaviate_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """One Weaviate for all tests of stores; those that stop it start it again."""
    with running_weaviate(tmp_path_factory.mktemp("weaviate")) as server:
        yield server


@pytest.fixture
def weaviate(weaviate_node: WeaviateServer, monkeypatch: pytest.MonkeyPatch) -> WeaviateServer:
    """A Weaviate whose addresses are in TEST_WEAVIATE and TEST_WEAVIATE_GRPC."""
    monkeypatch.setenv("TEST_WEAVIATE", weaviate_node.url)
    monkeypatch.setenv("TEST_WEAVIATE_GRPC", weaviate_node.grpc)
    return weaviate_node


@pytest.fixture(scope="session")
def milvus_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    """One Milvus Lite for all tests of stores; those that stop it start it again."""
    with running_milvus(tmp_path_factory.mktemp("milvus")) as server:
        yield server


@pytest.fixture
def milvus(milvus_node: MilvusLite, monkeypatch: pytest.MonkeyPatch) -> MilvusLite:
    """A Milvus whose address is in TEST_MILVUS."""
    monkeypatch.setenv("TEST_MILVUS", milvus_node.url)
    return milvus_node


@pytest.fixture
def database(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own, whose address is in TEST_DATABASE."""
    name = server.database()
    monkeypatch.setenv("TEST_DATABASE", server.url(name))
    return name
