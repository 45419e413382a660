"""PostgreSQL with the extension pgvector: a table for each version of an index."""
