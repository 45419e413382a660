"""Retrieval: quality on judged questions, latency and recall of vectors, and the cost of what changed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.rag import changes, quality, vectors


def main(options: Sequence[str] = ()) -> bool:
    """Run the parts that are named, or all; returns whether each is within its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rag")
    parser.add_argument("--quality", action="store_true", help="judged questions on Debian's perlfaq")
    parser.add_argument("--vectors", type=int, nargs="?", const=100_000, help="synthetic vectors, by default 100,000")
    parser.add_argument("--peer", action="store_true", help="the same vectors in PostgreSQL with pgvector too")
    parser.add_argument("--changes", action="store_true", help="an index of 10,000 documents, 1 %% of them changed")
    given = parser.parse_args(options)
    every = not (given.quality or given.vectors or given.changes)
    kept = True
    if given.quality or every:
        kept &= quality.measure()
    if given.vectors or every:
        kept &= vectors.measure(given.vectors or 100_000, with_peer=given.peer)
    if given.changes or every:
        kept &= changes.measure()
    return kept
