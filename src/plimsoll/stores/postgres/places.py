"""Tables of PostgreSQL without their vectors. The libraries are imported when they are used."""

from __future__ import annotations

from msgspec.structs import replace

from plimsoll.indexes.layout import StorePlace


class PostgresPlaces:
    """Tables of PostgreSQL with pgvector."""

    name = "postgres"
    extra = "pgvector"

    def settle(self, place: StorePlace) -> StorePlace:
        """The place with the schema that a new table would be in. Raises StoreError when none can be made."""
        from plimsoll.stores.postgres.address import read_address
        from plimsoll.stores.postgres.connections import Connections
        from plimsoll.stores.postgres.marks import open_schema

        connections = Connections(read_address(place.url))
        try:
            return replace(place, schema=open_schema(connections, place.schema))
        finally:
            connections.close()

    def drop(self, place: StorePlace) -> None:
        """Drop the table of a place, when it is ours."""
        from plimsoll.stores.postgres.address import read_address
        from plimsoll.stores.postgres.connections import Connections
        from plimsoll.stores.postgres.marks import drop_table

        connections = Connections(read_address(place.url))
        try:
            drop_table(connections, place)
        finally:
            connections.close()
