"""Removal of directories that a kill leaves whole or gone: they are renamed first, and deleted then."""

from __future__ import annotations

import errno
import secrets
import shutil
from pathlib import Path


def remove_whole(path: Path, aside: Path) -> None:
    """Remove a file, a link or a directory; `aside` is a directory for what is about to go.

    What is gone already is no error. Raises OSError.
    """
    aside.mkdir(parents=True, exist_ok=True)
    going = aside / secrets.token_hex(8)
    try:
        path.rename(going)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # A part of the state directory lies on a disk of its own.
        going = path.with_name(f".{going.name}")
        path.rename(going)
    discard(going)


def discard(going: Path) -> None:
    """Delete what was renamed out of its place before. Raises OSError."""
    if going.is_dir() and not going.is_symlink():
        shutil.rmtree(going)
    else:
        going.unlink(missing_ok=True)
