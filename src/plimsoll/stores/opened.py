"""What is open is closed when it turns out to be of no use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from plimsoll.stores.port import VectorStore


@contextlib.contextmanager
def closed_on_failure(store: VectorStore) -> Iterator[None]:
    """Close the store when the block raises anything, which goes on to whoever called."""
    try:
        yield
    except BaseException:  # also at Ctrl-C: nobody else has it to close
        store.close()
        raise
