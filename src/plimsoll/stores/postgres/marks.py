"""What tells our tables from other people's, where new ones can be made, and how ours are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.port import StoreError
from plimsoll.stores.postgres.connections import Connections
from plimsoll.stores.postgres.library import sql

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow


def remark_of(place: StorePlace) -> str:
    """The remark of a table that was made for a place."""
    return f"vectors of an index, made by plimsoll: {place.mark}"


def identity(connection: Connection[TupleRow], place: StorePlace) -> tuple[str | None, int]:
    """The remark of the table of a place, and the dimension of its vectors; None without such a table."""
    found = connection.execute(
        "SELECT coalesce(obj_description(c.oid, 'pg_class'), ''), coalesce(a.atttypmod, 0) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'embedding' AND NOT a.attisdropped"
        " WHERE n.nspname = %s AND c.relname = %s",
        [place.schema, place.name],
    ).fetchone()
    return (None, 0) if found is None else (str(found[0]), int(found[1]))


def drop_table(connections: Connections, place: StorePlace) -> None:
    """Drop the table of a place, when it is ours. What depends on it is somebody else's, and keeps it."""

    def work(connection: Connection[TupleRow]) -> None:
        with connection.transaction():
            remark, _ = identity(connection, place)
            if remark == remark_of(place):
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(place.schema, place.name)))

    connections.call(work)


def open_schema(connections: Connections, schema: str) -> str:
    """The schema for new tables, which the user may make there: the first of the search path when none is named.

    Raises StoreError.
    """

    def work(connection: Connection[TupleRow]) -> tuple[str | None, bool]:
        name = schema or connections.first_schema
        if not name:
            return None, False
        found = connection.execute(
            "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s", [name]
        ).fetchone()
        return (None, False) if found is None else (name, bool(found[0]))

    name, may_create = connections.call(work)
    if name is None:
        what = f"no schema '{schema}'" if schema else "no schema for new tables"
        raise StoreError(f"{connections.address.shown} has {what}", hint="correct `schema`, or create the schema")
    if not may_create:
        hint = f"grant CREATE on the schema {name} to the user in {connections.address.variable}, or name another"
        raise StoreError(f"{connections.address.shown} lets this user make no table in {name}", hint=hint)
    return name
