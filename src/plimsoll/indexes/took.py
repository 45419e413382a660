"""What one search took, by its parts."""

from __future__ import annotations

from msgspec import Struct


class Took(Struct, kw_only=True):
    """Seconds: of the vector of the question, of the search itself, and of the reranker. Filled in by the search."""

    embed: float = 0.0
    search: float = 0.0
    rerank: float = 0.0
