"""Opens the newest index of an application for searches from this machine."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.kinds.index import INDEXES, BuildIndex, IndexResult
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.models import model_for_use

if TYPE_CHECKING:
    from plimsoll.indexes.reading import SearchIndex


def open_index(path: Path, name: str, target: str = LOCAL) -> SearchIndex:
    """The newest index of this name that a run on the target has built, with its files verified.

    Raises FileError when the file has no such index, TargetError when no run has built it, ModelRefused when its
    embedding model may not be used.
    """
    file = KINDS.load(path)
    indexes = INDEXES.of(file.application)
    if name not in indexes:
        similar = difflib.get_close_matches(name, indexes, n=1)
        hint = f"did you mean '{similar[0]}'?" if similar else f"its indexes are: {', '.join(indexes) or 'none'}"
        raise file.error(f"there is no index '{name}'", hint, "spec", "indexes")
    try:
        from plimsoll.indexes.embedder import Embedder
        from plimsoll.indexes.reading import SearchIndex
    except ImportError:
        raise MissingExtra("retrieval", "plimsoll search") from None
    state = StateDirectory(file.directory, target)
    output = state.latest / BuildIndex.verb / name
    if not output.is_dir():
        raise TargetError(f"the index '{name}' is not built", where=str(file.path), hint="build it with plimsoll run")
    result = state.result(output.resolve().parent.name, IndexResult)
    if result is None:
        text = f"the files of the index '{name}' are not as they were written"
        raise TargetError(text, where=str(output), hint="build it again with plimsoll run")
    model = model_for_use(state, result.model, None)[1] if result.model else None
    return SearchIndex(output.resolve(), Embedder(model) if model else None)
