"""What `plimsoll.runtime.indexer` is told to build."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.indexes.layout import SearchMode, StorePlace


class Columns(Struct, frozen=True, kw_only=True):
    """The columns of a table of documents. Without `id` a document has the number of its row, from 1.

    `access` names the column of labels, which commas divide.
    """

    text: str
    id: str | None = None
    title: str | None = None
    access: str | None = None
    metadata: tuple[str, ...] = ()


@decodable
class IndexOrder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to build: paths, settings, and the columns of a table. `threads` 0 takes all processors.

    `deleted` are ids of documents that were deleted from an earlier version, and are left out whatever is built.
    `store` is a new place for the vectors; without one they are files of the index.
    """

    documents: str
    output: str
    search: SearchMode
    tokens: int
    overlap: int
    model: str | None = None
    earlier: str | None = None
    columns: Columns | None = None
    threads: int = 0
    deleted: tuple[str, ...] = ()
    store: StorePlace | None = None
