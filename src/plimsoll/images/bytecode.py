"""Add byte code for the modules of a layer. A pod with a read-only file system would else compile at every start.

The byte code is of the unchecked kind (PEP 552), because a layer has no modification times. It is marshalled without
back-references, because these depend on other objects in the memory of the compiling process.
"""

from __future__ import annotations

import importlib.util
import marshal
import warnings
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from plimsoll.images.layers import LayerEntry

_UNCHECKED = (1).to_bytes(4, "little")
_WITHOUT_REFERENCES = 2


def add_bytecode(entries: Iterable[LayerEntry]) -> Iterator[LayerEntry]:
    """Yield the entries, and the byte code of each module except tests."""
    for entry in entries:
        yield entry
        parts = PurePosixPath(entry.path).parts
        if entry.source is None or not entry.path.endswith(".py") or {"test", "tests"} & set(parts):
            continue
        try:
            source = entry.source.read_bytes()
        except OSError:
            # Packing the entry reports the error.
            continue
        if made := compile_module(source, f"/{entry.path}"):
            yield LayerEntry(path=made[0], content=made[1], owner=entry.owner)


def compile_module(source: bytes, path: str) -> tuple[str, bytes] | None:
    """Compile a module for the running Python. Returns path and content; None when the source does not compile.

    `path` is absolute in the image, because tracebacks show it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, OverflowError):
        # Packages contain templates, and modules for other Python versions.
        return None
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
    name = PurePosixPath(importlib.util.cache_from_source(path, optimization=""))
    return str(name).lstrip("/"), header + marshal.dumps(code, _WITHOUT_REFERENCES)
