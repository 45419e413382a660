"""The time of a new index of which 1 % of the documents has changed, beside that of the whole."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from benchmarks.rag.quality import fetch_embedder
from plimsoll.indexes.building import IndexBuilder, Settings
from plimsoll.indexes.documents import Document
from plimsoll.indexes.earlier import Earlier
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.parsing.text import paragraphs

DOCUMENTS, CHANGED, WORDS, LIMIT = 10_000, 100, 60, 0.03


def measure() -> bool:
    """Print both times; returns whether their ratio is within the limit."""
    drawn = random.Random(1)
    vocabulary = ["".join(drawn.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(5000)]
    texts = [" ".join(drawn.choices(vocabulary, k=WORDS)) for _ in range(DOCUMENTS)]
    with tempfile.TemporaryDirectory(prefix="plimsoll-rag-") as scratch:
        embedder = Embedder(fetch_embedder(Path(scratch, "model")))
        whole = _build(texts, Path(scratch, "1"), embedder, None)
        for number in drawn.sample(range(DOCUMENTS), CHANGED):
            texts[number] += " " + drawn.choice(vocabulary)
        changed = _build(texts, Path(scratch, "2"), embedder, Path(scratch, "1"))
    ratio = changed / whole
    print(f"{DOCUMENTS} documents: {whole:.1f} s; with {CHANGED} of them changed {changed:.1f} s, {ratio:.1%}")
    return ratio <= LIMIT


def _build(texts: list[str], directory: Path, embedder: Embedder, earlier: Path | None) -> float:
    directory.mkdir()
    began = time.perf_counter()
    documents = (
        Document(id=str(number), source="made", text=text, blocks=paragraphs(text)) for number, text in enumerate(texts)
    )
    builder = IndexBuilder(directory, Settings(search="hybrid"), embedder, lambda _: None)
    builder.build(documents, Earlier(earlier) if earlier else None)
    return time.perf_counter() - began
