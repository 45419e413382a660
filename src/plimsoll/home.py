"""The directories of the user: below HOME, or where the XDG variables say.

A container with an arbitrary user has neither HOME nor an entry in the passwd file, from which Python takes it then.
"""

from __future__ import annotations

import os
from pathlib import Path

from plimsoll.errors import TargetError


def config_home() -> Path:
    """XDG_CONFIG_HOME, by default `.config` below HOME. Raises TargetError when neither is known."""
    return _directory("XDG_CONFIG_HOME", ".config")


def cache_home() -> Path:
    """XDG_CACHE_HOME, by default `.cache` below HOME. Raises TargetError when neither is known."""
    return _directory("XDG_CACHE_HOME", ".cache")


def home() -> Path | None:
    """The home directory; `None` when it is not known."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _directory(variable: str, default: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    found = home()
    # Without an entry, some systems give "/" or a relative path, where nothing of the user's belongs.
    if found is None or not found.is_absolute():
        raise TargetError(
            "the user has no home directory: HOME is not set to one, and the user has no passwd entry",
            where=f"user {os.getuid()}",
            hint=f"set HOME, or {variable}, to a directory that is writable",
            lasting=True,
        )
    return found / default
