"""The client library, which is an extra."""

from __future__ import annotations

from plimsoll.errors import MissingExtra

try:
    from qdrant_client import QdrantClient, models
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
except ImportError:
    raise MissingExtra("qdrant", "an index with `store: qdrant`") from None

__all__ = ["QdrantClient", "QdrantException", "ResponseHandlingException", "UnexpectedResponse", "models"]
