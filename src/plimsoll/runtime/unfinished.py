"""Downloads that go on where an earlier one ended: their bytes lie in a directory that outlives the attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from plimsoll.runtime.download import download, identity_with_retries
from plimsoll.runtime.sources import Source


def download_through(
    kept: Path, where: Source, target: Path, *, pinned: bool = False, stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Download to `target` by way of a file in `kept`; returns whether it is whole, which it is unless `stopped`.

    Bytes of other content than the present are never continued: the file's name has the identity of its content.
    Raises as `download` does.
    """
    identity = identity_with_retries(where, stopped)
    kept.mkdir(parents=True, exist_ok=True)
    content = f"{where.url}\0{identity.validator}\0{identity.size}"
    part = kept / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.part"
    if not identity.validator:
        # Nobody can tell whether it is the same content.
        part.unlink(missing_ok=True)
    download(where, part, identity, pinned=pinned, stopped=stopped, goes_on=bool(identity.validator))
    if stopped():
        return False
    part.replace(target)
    return True
