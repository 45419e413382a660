"""`python -m plimsoll.runtime.indexer`: build a search index, with the vectors of an earlier one where they hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.index_order import IndexOrder

if TYPE_CHECKING:
    from plimsoll.indexes.earlier import Earlier
    from plimsoll.stores.writing import StoreWriter


def main() -> None:
    """Build the index that an order describes; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.indexer", description=__doc__)
    parser.add_argument("order", type=Path, help="a JSON file of an IndexOrder")
    try:
        build(msgspec.json.decode(parser.parse_args().order.read_bytes(), type=IndexOrder))
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def build(order: IndexOrder) -> None:
    """Build the index. Raises PlimsollError."""
    try:
        from plimsoll.indexes.building import IndexBuilder, Settings
        from plimsoll.indexes.documents import Unreadable
        from plimsoll.indexes.embedder import Embedder
        from plimsoll.runtime.document_reader import read_files, read_table
    except ImportError:
        raise MissingExtra("retrieval", "an index") from None
    embedder = Embedder(Path(order.model), order.threads) if order.model else None
    settings = Settings(search=order.search, tokens=order.tokens, overlap=order.overlap, threads=order.threads)
    path = Path(order.documents)
    documents = read_table(path, order.columns) if order.columns else read_files(path)
    outside = _outside(order, embedder.dimension) if embedder is not None else None
    builder = IndexBuilder(Path(order.output), settings, embedder, lambda line: print(line, flush=True), outside)
    gone = frozenset(order.deleted)
    left = (each for each in documents if isinstance(each, Unreadable) or each.id not in gone)
    try:
        facts = builder.build(left, _earlier(order.earlier) if embedder else None, path.name)
    except BaseException:  # also at a stop: what is in a store of others does not end with this process
        if outside is not None and (reason := outside.give_up()):
            print(f"what was put into the store stays there until `plimsoll clean`: {reason}", flush=True)
        raise
    for each in facts.unreadable:
        print(f"left out: {each.source} {each.reason}", flush=True)
    print(f"{facts.documents} documents in {facts.chunks} chunks, {facts.embedded} embedded", flush=True)


def _outside(order: IndexOrder, dimension: int) -> StoreWriter | None:
    """What puts the vectors into a store, in a place that is made for them. Raises PlimsollError."""
    from plimsoll.stores.kinds import kind_named
    from plimsoll.stores.writing import StoreWriter

    if order.store is None:
        return None
    return StoreWriter(kind_named(order.store.kind).create(order.store, dimension), order.store)


def _earlier(directory: str | None) -> Earlier | None:
    from plimsoll.indexes.earlier import Earlier
    from plimsoll.stores.opening import open_vectors

    if directory is None:
        return None
    try:
        return Earlier(Path(directory), open_vectors)
    except (PlimsollError, OSError, ValueError, RuntimeError) as error:
        print(f"the earlier index is not used: {error}", flush=True)
        return None


if __name__ == "__main__":
    main()
