"""Byte code beside the modules of a layer: a pod that may not write its own would else compile at every start.

It is of the kind that is not held against the source's time (PEP 552), which a layer does not have. It is marshalled
without back-references, for which ones are made depends on what else the compiling process has in memory.
"""

from __future__ import annotations

import importlib.util
import marshal
import warnings
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from plimsoll.images.layers import Entry

_UNCHECKED = (1).to_bytes(4, "little")
_WITHOUT_REFERENCES = 2


def with_bytecode(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, and byte code beside every module that is there to be imported."""
    for entry in entries:
        yield entry
        parts = PurePosixPath(entry.path).parts
        if entry.source is None or not entry.path.endswith(".py") or {"test", "tests"} & set(parts):
            continue
        try:
            source = entry.source.read_bytes()
        except OSError:
            # Whoever packs it says so.
            continue
        if made := bytecode(source, f"/{entry.path}"):
            yield Entry(path=made[0], content=made[1], owner=entry.owner)


def bytecode(source: bytes, path: str) -> tuple[str, bytes] | None:
    """Path and content of a module's byte code for the running Python; None for what cannot be compiled.

    `path` is absolute in the image: tracebacks show it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, OverflowError):
        # Packages bring templates, and modules for other versions.
        return None
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
    name = PurePosixPath(importlib.util.cache_from_source(path, optimization=""))
    return str(name).lstrip("/"), header + marshal.dumps(code, _WITHOUT_REFERENCES)
