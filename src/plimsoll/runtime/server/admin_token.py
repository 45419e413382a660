"""The file with the token that changes to a running service need. Planning imports this module, and it is small."""

from __future__ import annotations

import os
from pathlib import Path

from plimsoll.errors import TargetError


def make_token_file(path: Path) -> None:
    """Write a new token that only the owner can read, unless there is one. Raises TargetError."""
    import secrets

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise TargetError(f"the service's token cannot be written: {error.strerror}", where=str(path)) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
