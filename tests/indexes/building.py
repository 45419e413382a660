"""Indexes for tests, as they are registered: with their embedding model in them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from plimsoll.indexes.building import IndexBuilder, Settings
from plimsoll.indexes.documents import Document
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.layout import EMBEDDER, SearchMode
from plimsoll.indexes.parsing.text import paragraphs
from tests.indexes.embedding_model import write_model


def document(name: str, text: str, *access: str) -> Document:
    """A document of one paragraph."""
    return Document(id=name, source=f"{name}.txt", text=text, blocks=paragraphs(text), access=access)


def build_registered(directory: Path, documents: Sequence[Document], search: SearchMode = "hybrid") -> Path:
    """Build an index with its embedding model; gives the path of its `index.json`."""
    directory.mkdir(parents=True)
    embedder = None
    if search != "lexical":
        embedder = Embedder(write_model(directory / Path(EMBEDDER).parent), threads=1)
    IndexBuilder(directory, Settings(search=search, threads=1), embedder, lambda line: None).build(documents)
    return directory / "index.json"


def copied(index: Path, directory: Path) -> Path:
    """A copy of an index."""
    shutil.copytree(index.parent, directory)
    return directory / index.name
