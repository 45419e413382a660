"""Milvus: a collection for each version of an index."""
