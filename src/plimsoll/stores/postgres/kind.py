"""PostgreSQL as a kind of store. Its libraries are imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure
from plimsoll.stores.port import StoreError

if TYPE_CHECKING:
    from plimsoll.stores.postgres.table import PostgresTable


class PostgresKind:
    """Tables of PostgreSQL with pgvector."""

    def create(self, place: StorePlace, dimension: int) -> PostgresTable:
        """Make an empty table."""
        table = self._table(place, dimension)
        with closed_on_failure(table):
            table.create()
        return table

    def open(self, place: StorePlace, dimension: int) -> PostgresTable:
        """Open a table that was made before."""
        table = self._table(place, dimension)
        with closed_on_failure(table):
            table.require_ours()
        return table

    def _table(self, place: StorePlace, dimension: int) -> PostgresTable:
        from plimsoll.stores.postgres.address import read_address
        from plimsoll.stores.postgres.connections import Connections
        from plimsoll.stores.postgres.table import PostgresTable

        if not place.schema:
            raise StoreError("the place of a table has no schema", hint="build the index anew")
        return PostgresTable(Connections(read_address(place.url)), place, dimension)
