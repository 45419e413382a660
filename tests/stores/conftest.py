from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.postgres_server import PostgresServer, running_postgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a PostgreSQL takes seconds, and on a busy machine many."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of stores; those that stop it start it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own, whose address is in TEST_DATABASE."""
    name = server.database()
    monkeypatch.setenv("TEST_DATABASE", server.url(name))
    return name
