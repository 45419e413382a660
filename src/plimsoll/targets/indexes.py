"""What an index is built of, the same on every target."""

from __future__ import annotations

from plimsoll.indexes.changes import changes_in
from plimsoll.indexes.names import versions_of
from plimsoll.kinds.index import BuildIndex
from plimsoll.runtime.index_order import Columns, IndexOrder
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.servers import changes_of


def order_of(work: BuildIndex, *, threads: int, model: str | None, earlier: str | None) -> IndexOrder:
    """The order for `plimsoll.runtime.indexer`, without the places that only whoever runs it knows.

    `model` is the path of the embedding model, `earlier` that of an index whose vectors are taken where they hold.
    """
    return IndexOrder(
        documents="",
        output="",
        search=work.search,
        tokens=work.part.chunk.tokens,
        overlap=work.part.chunk.shared,
        model=model,
        earlier=earlier,
        columns=_columns(work),
        threads=threads,
    )


def deleted_from(state: StateDirectory, index: str) -> tuple[str, ...]:
    """What was deleted over HTTP from a service that `state` is of.

    Its text must be in no file of a version that is built from now on, on whichever target: versions are shared.
    """
    journal = changes_of(state, versions_of(index))
    return tuple(each.id for each in changes_in(journal).values() if each.deleted) if journal else ()


def _columns(work: BuildIndex) -> Columns | None:
    part = work.part
    if part.text is None:
        return None
    return Columns(text=part.text, id=part.id, title=part.title, access=part.access, metadata=part.metadata)
