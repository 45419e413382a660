"""Opens a version of an index for searches from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.application.targets import target_named
from plimsoll.errors import MissingExtra, TargetError
from plimsoll.indexes.names import versions_of
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.models import directory_of, version_for_use

if TYPE_CHECKING:
    from plimsoll.indexes.reading import SearchIndex


def open_index(path: Path, reference: str, target: str = LOCAL) -> SearchIndex:
    """The newest version of an index that a run has registered, or `name@version`, with signature and files verified.

    What was changed over HTTP since counts too.

    Raises FileError when the file has no such index, TargetError when no run has built it, ModelRefused for a version
    that was altered.
    """
    file = KINDS.load(path)
    INDEXES.check_reference(file, reference, "spec", "indexes")
    try:
        from plimsoll.stores.opening import open_index as open_files
    except ImportError:
        raise MissingExtra("retrieval", "plimsoll search") from None
    state = StateDirectory(file.directory, target_named(file.application, target))
    name = reference.partition("@")[0]
    if not _has_versions(state, versions_of(name)):
        raise TargetError(f"the index '{name}' is not built", where=str(file.path), hint="build it with plimsoll run")
    _, files = version_for_use(state, versions_of(reference), None)
    return open_files(directory_of(files), changes=state.changes / f"{name}.jsonl")


def _has_versions(state: StateDirectory, name: str) -> bool:
    from plimsoll.targets.models import model_registry

    return bool(model_registry(state).versions(name))
