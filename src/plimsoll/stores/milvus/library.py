"""The client library, which is an extra. It takes seconds to import."""

from __future__ import annotations

import logging

from plimsoll.errors import MissingExtra

try:
    import grpc
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError:
    raise MissingExtra("milvus", "an index with `store: milvus`") from None

# It writes every refusal with a traceback, and every refusal is told by an error of ours.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)

__all__ = ["DataType", "MilvusClient", "MilvusException", "grpc"]
