"""Which measure of support judged: results of different ones are not compared."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PARTS = ("contraries.py", "languages.py", "sentences.py", "support.py", "terms.py")


@cache
def measure() -> str:
    """A digest of the code that judges, with the version of the library of stems."""
    digest = hashlib.sha256()
    for name in _PARTS:
        digest.update(Path(__file__).with_name(name).read_bytes())
    try:
        digest.update(version("snowballstemmer").encode())
    except PackageNotFoundError:
        digest.update(b"none")
    return digest.hexdigest()[:12]
