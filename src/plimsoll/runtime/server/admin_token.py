"""The file with the token that changes to a running service need. Planning imports this module, and it is small."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from plimsoll.errors import TargetError


def make_token_file(path: Path) -> None:
    """Write a new token that only the owner can read, unless there is one. Raises TargetError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_there(path):
            _write(path)
    except OSError as error:
        raise TargetError(f"the service's token cannot be written: {error.strerror}", where=str(path)) from error


def _is_there(path: Path) -> bool:
    """Whether there is a token. Raises TargetError for a file that others can read or have made, OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or found.st_mode & 0o077:
        why = "others may read it" if is_ours else "it is another's, or no file"
        hint = f"remove it, and a new one is made: rm {path}"
        raise TargetError(f"the service's token is no secret: {why}", where=str(path), hint=hint)
    # A run that was killed in the middle may have left an empty one.
    return found.st_size > 0


def _write(path: Path) -> None:
    import secrets

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    temporary.replace(path)
