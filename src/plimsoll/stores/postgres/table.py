"""The vectors of one version of an index, in a table of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD
from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoredVector, StoreError
from plimsoll.stores.postgres.connections import BUILD_LIMIT, Connections
from plimsoll.stores.postgres.library import sql
from plimsoll.stores.postgres.marks import drop_table, identity, remark_of

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from plimsoll.indexes.arrays import Array

GRAPH_FROM = 2_000
"""Vectors from which on a graph is faster than comparing all of them."""
GRAPH_DIMENSIONS = 2_000
"""Numbers of a vector that pgvector's graph takes at most."""
EXACT_UP_TO = 5_000
"""Vectors that a caller may see up to which they are compared one by one: a graph of all would look at others first."""


class PostgresTable:
    """A table with the columns `chunk`, `part` (the group) and `embedding`."""

    def __init__(self, connections: Connections, place: StorePlace, dimension: int) -> None:
        """`place` has a schema. The table is looked at when it is asked for."""
        self._connections, self._place, self._dimension = connections, place, dimension
        self._table = sql.Identifier(place.schema, place.name)
        self._remark = remark_of(place)
        self._sizes: Mapping[int, int] | None = None

    def create(self) -> None:
        """Make the table. Raises StoreError when there is something of its name."""
        make = sql.SQL(
            "CREATE TABLE {} (chunk bigint PRIMARY KEY, part integer NOT NULL, embedding vector({}) NOT NULL)"
        ).format(self._table, sql.Literal(self._dimension))
        remark = sql.SQL("COMMENT ON TABLE {} IS {}").format(self._table, sql.Literal(self._remark))

        def work(connection: Connection[TupleRow]) -> None:
            with connection.transaction():
                connection.execute(make)
                connection.execute(remark)

        self._connections.call(work)

    def require_ours(self) -> None:
        """Raise StoreError unless the table is there, is ours, and has vectors of this dimension."""
        remark, dimension = self._connections.call(lambda each: identity(each, self._place))
        where = shown(self._place)
        if remark is None:
            hint = f"correct {self._place.url}, or build the index anew: plimsoll run --force NAME"
            raise StoreError("the vectors of this version are not in this database", where=where, hint=hint)
        if remark != self._remark:
            raise StoreError("this table is somebody else's", where=where, hint="nothing of it is read or changed")
        if dimension != self._dimension:
            text = f"the table has vectors of {dimension} numbers, and the index has {self._dimension}"
            raise StoreError(text, where=where, hint="build the index anew: plimsoll run --force NAME")

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put rows in, in place of those that are there."""
        self._require_dimension(int(vectors.shape[1]))
        remove = sql.SQL("DELETE FROM {} WHERE chunk = ANY(%s::bigint[])").format(self._table)
        copy_in = sql.SQL("COPY {} (chunk, part, embedding) FROM STDIN (FORMAT BINARY)").format(self._table)

        def work(connection: Connection[TupleRow]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute(remove, [list(rows)])
                with cursor.copy(copy_in) as copy:
                    copy.set_types(["int8", "int4", "vector"])
                    for row, vector in zip(rows, vectors, strict=True):
                        copy.write_row((row, group, vector))

        self._connections.call(work, BUILD_LIMIT)
        self._sizes = None

    def finish(self) -> None:
        """Make a graph of neighbours for a large table, and an index of groups."""
        graph = sql.SQL(
            "CREATE INDEX {} ON {} USING hnsw (embedding vector_ip_ops) WITH (m = {}, ef_construction = {})"
        ).format(
            sql.Identifier(f"{self._place.name}_near"),
            self._table,
            sql.Literal(CONNECTIVITY),
            sql.Literal(EXPANSION_ADD),
        )
        parts = sql.SQL("CREATE INDEX {} ON {} (part)").format(sql.Identifier(f"{self._place.name}_part"), self._table)
        wanted = [parts, graph] if self._has_graph() else [parts]

        def work(connection: Connection[TupleRow]) -> None:
            with connection.transaction():
                connection.execute("SET LOCAL statement_timeout = 0")
                for each in wanted:
                    connection.execute(each)
                connection.execute(sql.SQL("ANALYZE {}").format(self._table))

        self._connections.call(work, BUILD_LIMIT)

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`.

        A graph is asked where the caller may see many vectors. Where it gives too few, all are compared.
        """
        self._require_dimension(len(vector))
        sizes = self._known_sizes()
        seen = sum(sizes.get(group, 0) for group in groups)
        if not seen:
            return []
        everything = set(sizes) <= set(groups)
        conditions = [] if everything else [sql.SQL("part = ANY(%(groups)s::integer[])")]
        if hidden:
            conditions.append(sql.SQL("NOT chunk = ANY(%(hidden)s::bigint[])"))
        values = {"groups": list(groups), "hidden": list(hidden), "vector": vector, "most": most}
        by_graph = self._has_graph() and seen > EXACT_UP_TO
        found = self._found(conditions, values, exact=not by_graph)
        if by_graph and len(found) < most:
            found = self._found(conditions, values, exact=True)
        return found

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows."""
        query = sql.SQL("SELECT chunk, part, embedding FROM {} WHERE chunk = ANY(%s::bigint[])").format(self._table)
        wanted = list(rows)
        return self._connections.call(lambda each: _read(each.execute(query, [wanted], binary=True)))

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        query = sql.SQL("DELETE FROM {} WHERE chunk = ANY(%s::bigint[])").format(self._table)
        wanted = list(rows)
        self._connections.call(lambda each: each.execute(query, [wanted]))
        self._sizes = None

    def count(self) -> int:
        """The number of vectors."""
        return sum(self._counted().values())

    def _counted(self) -> Mapping[int, int]:
        """The number of vectors of each group, counted anew."""
        query = sql.SQL("SELECT part, count(*) FROM {} GROUP BY part").format(self._table)

        def work(connection: Connection[TupleRow]) -> Mapping[int, int]:
            with connection.transaction():
                connection.execute("SET LOCAL statement_timeout = '55s'")
                return {int(part): int(count) for part, count in connection.execute(query)}

        self._sizes = self._connections.call(work, 60.0)
        return self._sizes

    def drop(self) -> None:
        """Drop the table, when it is ours."""
        drop_table(self._connections, self._place)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _found(
        self, conditions: Sequence[sql.Composable], values: Mapping[str, object], *, exact: bool
    ) -> list[StoredVector]:
        where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
        # An expression that no index has is computed for each row.
        near = sql.SQL("(embedding <#> %(vector)s) + 0" if exact else "embedding <#> %(vector)s")
        query = sql.SQL("SELECT chunk, part, embedding FROM {}{} ORDER BY {} LIMIT %(most)s").format(
            self._table, where, near
        )
        return self._connections.call(lambda each: _read(each.execute(query, values, binary=True)))

    def _known_sizes(self) -> Mapping[int, int]:
        return self._sizes if self._sizes is not None else self._counted()

    def _has_graph(self) -> bool:
        return sum(self._known_sizes().values()) > GRAPH_FROM and self._dimension <= GRAPH_DIMENSIONS

    def _require_dimension(self, given: int) -> None:
        if given != self._dimension:
            text = f"a vector has {given} numbers, and those of this place have {self._dimension}"
            raise StoreError(text, where=shown(self._place), hint="use the model that embedded the index")


def _read(cursor: Cursor[TupleRow]) -> list[StoredVector]:
    import numpy as np

    return [
        StoredVector(int(row), int(group), np.asarray(_numbers(vector), dtype=np.float32))
        for row, group, vector in cursor
    ]


def _numbers(vector: object) -> object:
    """The numbers of a vector as this version of the library gives it."""
    return vector.to_numpy() if hasattr(vector, "to_numpy") else vector
