"""Places that builds make in stores: written down before they are made, and deleted when nothing needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.indexes.layout import StorePlace
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.naming import shown
from plimsoll.targets.local.vector_places import VectorPlaces, new_place
from tests.stores.postgres_server import PostgresServer

SETTINGS = StorePlace(kind="postgres", name="", mark="", url="TEST_DATABASE")


def test_a_table_of_a_killed_build_is_found_and_deleted_and_one_of_a_run_that_goes_on_stays(
    server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    state = StateDirectory(tmp_path)
    state.make()
    place = new_place(state, "manuals", "key", SETTINGS)
    KINDS["postgres"].create(place, 16).close()
    notes: list[str] = []
    places, lock = VectorPlaces(state), RunLock(state.lock)
    lock.acquire("r1", "app")
    assert places.find({"key"}, notes.append) == []
    lock.release()
    assert [each.name for each in places.find({"key"}, notes.append)] == [shown(place)]

    (state.stores / "other.json").write_text("{")
    monkeypatch.setenv("TEST_DATABASE", "postgresql://127.0.0.1:1/x")
    assert places.remove(set(), notes.append) == []
    assert any("other.json cannot be read" in note for note in notes)
    assert any(f"{shown(place)} stays: PostgreSQL at 127.0.0.1:1 does not listen" in note for note in notes)
    monkeypatch.setenv("TEST_DATABASE", server.url(database))
    assert [each.name for each in places.remove(set(), notes.append)] == [shown(place)]
    assert places.find(set(), notes.append) == []
    assert server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database) == []
