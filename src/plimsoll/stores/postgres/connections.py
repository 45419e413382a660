"""Connections to a database: some that wait for the next call, each of which ends within a limit."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from plimsoll.stores.port import StoreError
from plimsoll.stores.postgres.address import Address
from plimsoll.stores.postgres.library import psycopg, register_vector, sql
from plimsoll.stores.postgres.refusals import of_connecting, of_statement

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

Answer = TypeVar("Answer")
CONNECT_LIMIT = 5
"""Seconds, also the least that libpq knows for one host of several is 2."""
SEARCH_LIMIT = 15.0
BUILD_LIMIT = 4 * 3600.0
"""Seconds for what grows with the index: its graph of a million vectors takes minutes."""
IDLE = 8
"""Connections that are kept for the next calls."""
ITERATIVE = (0, 8)
"""The first version of pgvector that goes on in its graph until enough is found that a condition admits."""
CANDIDATES = 100


class Connections:
    """Threads share it. A connection that has broken while it waited is replaced without an error."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.first_schema: str | None = None
        """The schema in which the user's new tables are, once there has been a connection."""
        self._idle: list[Connection[TupleRow]] = []
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, _close_all, self._idle)

    def call(self, work: Callable[[Connection[TupleRow]], Answer], limit: float = SEARCH_LIMIT) -> Answer:
        """Have work done by a connection. Raises StoreError; after `limit` seconds the connection is cut."""
        while True:
            connection, has_waited = self._take()
            cut = _Cut(connection, limit)
            try:
                with cut:
                    answer = work(connection)
            except psycopg.Error as error:
                broken, was_cut = connection.broken or connection.closed, cut.done
                connection.close()
                if broken and has_waited and not was_cut:
                    self.close()
                    continue
                raise of_statement(error, self.address, was_cut=was_cut, limit=limit) from error
            except BaseException:  # also at Ctrl-C: a statement may be half way, and nobody may have it next
                connection.close()
                raise
            self._give(connection)
            return answer

    def close(self) -> None:
        """Close those that wait."""
        with self._lock:
            waiting, self._idle[:] = list(self._idle), []
        _close_all(waiting)

    def _take(self) -> tuple[Connection[TupleRow], bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        return self._connect(), False

    def _give(self, connection: Connection[TupleRow]) -> None:
        with self._lock:
            if not connection.closed and len(self._idle) < IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> Connection[TupleRow]:
        try:
            made = psycopg.connect(
                self.address.secret,
                autocommit=True,
                connect_timeout=CONNECT_LIMIT,
                # Poolers between us and the server may give each statement another session.
                prepare_threshold=None,
                application_name="plimsoll",
            )
        except psycopg.Error as error:
            # Without its cause, whose text may have a part of the address.
            raise of_connecting(error, self.address) from None
        cut = _Cut(made, SEARCH_LIMIT)
        try:
            with cut:
                self._prepare(made)
        except psycopg.Error as error:
            made.close()
            raise of_statement(error, self.address, was_cut=cut.done, limit=SEARCH_LIMIT) from error
        except BaseException:  # also at Ctrl-C: nobody else has it to close
            made.close()
            raise
        return made

    def _prepare(self, connection: Connection[TupleRow]) -> None:
        found = connection.execute(
            "SELECT e.extversion, n.nspname, current_schema() FROM pg_catalog.pg_extension e"
            " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
        ).fetchone()
        if found is None:
            hint = "install pgvector on the server, and have the owner of the database run: CREATE EXTENSION vector"
            raise StoreError(f"{self.address.shown} has no extension `vector` in this database", hint=hint)
        version, schema, self.first_schema = found
        # Types and operators are those of the extension, whatever else has their names in this database.
        connection.execute(sql.SQL("SET search_path TO pg_catalog, {}").format(sql.Identifier(schema)))
        connection.execute(f"SET statement_timeout = '{SEARCH_LIMIT - 3:g}s'")
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(f"SET hnsw.ef_search = {CANDIDATES}")
        if tuple(int(part) for part in str(version).split(".")[:2]) >= ITERATIVE:
            connection.execute("SET hnsw.iterative_scan = strict_order")
        register_vector(connection)


class _Cut:
    """Cuts a connection when its block takes longer than a limit: a server that is frozen answers no cancellation."""

    def __init__(self, connection: Connection[TupleRow], limit: float) -> None:
        self.done = False
        self._connection = connection
        self._timer = threading.Timer(limit, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.done = True
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as held,
        ):
            held.shutdown(socket.SHUT_RDWR)


def _close_all(connections: list[Connection[TupleRow]]) -> None:
    for connection in connections:
        with contextlib.suppress(psycopg.Error):
            connection.close()
