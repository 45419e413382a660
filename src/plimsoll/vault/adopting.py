"""Makes a vault of a state directory, with the plain files that it has so far, and takes them out of it."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from plimsoll.files import flush
from plimsoll.vault import header
from plimsoll.vault.index import Index, write_index
from plimsoll.vault.key_sources import KeySource
from plimsoll.vault.opening import OBJECTS
from plimsoll.vault.sealing import GRAIN, Sealing

PLAIN = "plain"
"""In `sealed/` while plain files of before are still to be deleted."""
STAYS = frozenset({header.DIRECTORY, ".gitignore", "destroyed"})
"""What stays in clear: certificates of what was destroyed name no data."""
_PASSES = 20


def make_vault(state: Path, application: str, source: KeySource, workspace: str) -> None:
    """Make a vault of a state directory that nobody uses. Raises KeyProblem and OSError.

    It is one with its header, which is written when everything is sealed: until then the plain files are what counts.
    """
    sealed = state / header.DIRECTORY
    made, key = header.made(application, source, workspace, state.parent)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(sealed)
    (sealed / OBJECTS).mkdir(parents=True)
    (state / ".gitignore").write_text("*\n", encoding="ascii")
    if plain_files(state):
        sealing = Sealing(state, sealed, made.vault, key, STAYS)
        for _ in range(_PASSES):
            if sealing.seal(all_now=True):
                break
            time.sleep(GRAIN / 1e9)
        (sealed / PLAIN).touch()
    else:
        write_index(sealed, Index(made.vault), key)
    flush(sealed)
    header.write(state, made)
    flush(state)
    remove_plain(state)


def plain_files(state: Path) -> list[Path]:
    """What lies in a state directory in clear."""
    try:
        return [path for path in state.iterdir() if path.name not in STAYS]
    except FileNotFoundError:
        return []


def remove_plain(state: Path) -> None:
    """Delete the plain files of before, when they are sealed. Raises OSError."""
    mark = state / header.DIRECTORY / PLAIN
    if not mark.exists():
        return
    for path in plain_files(state):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    flush(state)
    mark.unlink()
