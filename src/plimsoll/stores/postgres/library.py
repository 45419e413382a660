"""The client libraries, which are an extra."""

from __future__ import annotations

from plimsoll.errors import MissingExtra

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict
except ImportError:
    raise MissingExtra("pgvector", "an index with `store: postgres`") from None

__all__ = ["conninfo_to_dict", "psycopg", "register_vector", "sql"]
