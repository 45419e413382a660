"""Latency, recall and memory of searches in many vectors, beside an exact search and the bare library's build."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from plimsoll.indexes.native import Index
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD, VectorIndex, VectorWriter

DIMENSION, CENTRES, QUERIES = 384, 2000, 500
LIMIT_MS, LIMIT_RECALL, LIMIT_BUILD = 10.0, 0.95, 0.9


def measure(count: int) -> bool:
    """Print the figures for `count` vectors in synthetic clusters; returns whether all are within their limits."""
    drawn = np.random.default_rng(1)
    centres = drawn.normal(size=(CENTRES, DIMENSION)).astype(np.float32)
    vectors = _unit(centres[drawn.integers(CENTRES, size=count)] + _noise(drawn, count))
    questions = _unit(centres[drawn.integers(CENTRES, size=QUERIES)] + _noise(drawn, QUERIES))
    began = time.perf_counter()
    bare = Index(ndim=DIMENSION, metric="cos", dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD)
    bare.add(np.arange(count, dtype=np.uint64), vectors)
    bare_seconds = time.perf_counter() - began
    del bare
    with tempfile.TemporaryDirectory(prefix="plimsoll-rag-") as scratch:
        began = time.perf_counter()
        listed = VectorWriter(Path(scratch), DIMENSION).write(0, np.arange(count), vectors)
        seconds = time.perf_counter() - began
        index = VectorIndex(Path(scratch), DIMENSION, 1)
        for question in questions[:50]:
            index.search(question, 10, [0])
        times, right = [], 0
        for question in questions:
            began = time.perf_counter()
            found = index.search(question, 10, [0])
            times.append(time.perf_counter() - began)
            exact = np.argpartition(-(vectors @ question), 10)[:10]
            right += len({row for row, _ in found} & set(exact.tolist()))
    p50, p99 = (float(value) * 1000 for value in np.percentile(times, [50, 99]))
    recall, speed = right / QUERIES / 10, bare_seconds / seconds
    print(f"{count} vectors of {DIMENSION}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, recall@10 {recall:.3f}")
    print(f"built in {seconds:.1f} s, {speed:.2f} times the bare library's speed; {listed} that its graph cannot find")
    return p99 < LIMIT_MS and recall >= LIMIT_RECALL and speed >= LIMIT_BUILD


def _noise(drawn: np.random.Generator, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return 0.6 * drawn.standard_normal(size=(count, DIMENSION), dtype=np.float32)


def _unit(
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray[tuple[int, int], np.dtype[np.float32]] = (vectors / lengths).astype(np.float32)
    return found
