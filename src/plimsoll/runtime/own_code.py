"""The code that scores tables, as a digest: another code may give other answers."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_PARTS = (
    "fixed_batch.py", "labelled.py", "model.py", "predictions.py", "scored_parts.py", "scorer.py", "specs.py",
    "tensors.py", "conversion", "tables",
)  # fmt: skip


@cache
def digest_of_scorer() -> str:
    """`sha256:…` of the scorer's modules."""
    root, digest = Path(__file__).parent, hashlib.sha256()
    for name in _PARTS:
        found = root / name
        for path in sorted(found.glob("*.py")) if found.is_dir() else [found]:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return "sha256:" + digest.hexdigest()
