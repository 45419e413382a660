"""Who registers a version."""

from __future__ import annotations

import getpass
import socket


def current_author() -> str:
    """`user@host` of this process; the user is `nobody` when the process has no user name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "nobody"
    return f"{name}@{socket.gethostname()}"
