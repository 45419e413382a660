"""Which applications use an environment of the cache, so that one that nobody uses any more can go.

Beside an environment is a directory with a file for each result that names it. A use counts as long as the result is
there, and for a day before it is. An environment without such a directory is of an older version: it goes when it has
been there for a month, because nobody knows who uses it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.files import replace_file
from plimsoll.locks import locked_file
from plimsoll.state.directory import StateDirectory
from plimsoll.state.integrity import RESULT
from plimsoll.state.removing import discard
from plimsoll.state.sizes import size_of
from plimsoll.targets.features import Leaving
from plimsoll.targets.local.environments import COMPLETE, cache_directory

BEGUN = 86_400.0
"""Seconds for which a use counts without a result: the environment is being made."""
UNKNOWN = 30 * 86_400.0
"""Seconds that an environment stays whose uses are not known."""
KIND = "environments"
_USES, _LOCK, _GOING = ".uses", ".lock", ".removed-"


def lock_of(place: Path) -> Path:
    """The lock of an environment: exclusive for whoever makes or removes it, shared for whoever begins to use it."""
    return place.with_suffix(_LOCK)


def record_use(place: Path, state: StateDirectory, key: str) -> None:
    """Say that a result of this application names the environment. Raises OSError."""
    path = _uses(place) / f"{_owner(state)}-{key[:16]}"
    result = os.fsencode(state.results.absolute() / key)
    if not path.exists() or path.read_bytes() != result:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, result, durable=False)


def is_kept_for(place: Path, state: StateDirectory, key: str, is_complete: Callable[[Path], bool]) -> bool:
    """Whether an environment is there for a result that names it; it is not removed from then on."""
    with contextlib.suppress(OSError), locked_file(lock_of(place), shared=True, limit=1.0):
        record_use(place, state, key)
        return is_complete(place)
    # A cache that cannot be written to is not cleaned either.
    return is_complete(place)


class Environments:
    """The environments of the cache, seen from one application."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def find(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Environments that nobody uses once the results of this application are those of `keys`."""
        going = [Leaving(kind=KIND, name=path.name, size=size_of(path)) for path in _going()]
        unused = [place for place in _places() if not self._is_used(place, keys)]
        return [*going, *(Leaving(kind=KIND, name=place.name, size=size_of(place)) for place in unused)]

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Remove them, each as a whole."""
        gone = []
        for path in _going():
            gone.append(Leaving(kind=KIND, name=path.name, size=size_of(path)))
            discard(path)
        for place in _places():
            with locked_file(lock_of(place)) as locked:
                if not locked:
                    continue
                self._drop(place, keys)
                if self._is_used(place, keys):
                    continue
                gone.append(Leaving(kind=KIND, name=place.name, size=size_of(place)))
                going = place.with_name(f"{place.name}{_GOING}{os.urandom(4).hex()}")
                place.rename(going)
                for use in _uses_of(place):
                    use.unlink(missing_ok=True)
            discard(going)
        return gone

    def sizes(self) -> dict[str, int]:
        """Bytes of the environments that this application uses."""
        owner = _owner(self._state)
        own = [place for place in _places() if any(use.name.startswith(owner) for use in _uses_of(place))]
        return {KIND: sum(_known_size(place) for place in own)}

    def _is_used(self, place: Path, keys: Collection[str]) -> bool:
        uses = _uses_of(place)
        if not uses and not _uses(place).is_dir():
            return not _is_older(place / COMPLETE, UNKNOWN)
        return any(not self._is_over(use, keys) and _counts(use) for use in uses)

    def _is_over(self, use: Path, keys: Collection[str]) -> bool:
        """Whether a use is of a result of this application that is not kept."""
        if not use.name.startswith(_owner(self._state)):
            return False
        return not any(key.startswith(use.name.partition("-")[2]) for key in keys)

    def _drop(self, place: Path, keys: Collection[str]) -> None:
        for use in _uses_of(place):
            if self._is_over(use, keys):
                use.unlink(missing_ok=True)


def _counts(use: Path) -> bool:
    try:
        result = Path(os.fsdecode(use.read_bytes()))
    except OSError:
        return False
    return (result / RESULT).exists() or not _is_older(use, BEGUN)


def _places() -> list[Path]:
    try:
        found = sorted(cache_directory().iterdir())
    except (OSError, PlimsollError):
        return []
    return [path for path in found if not path.suffix and path.is_dir() and not path.is_symlink()]


def _going() -> Iterator[Path]:
    with contextlib.suppress(OSError, PlimsollError):
        yield from sorted(cache_directory().glob(f"*{_GOING}*"))


def _uses(place: Path) -> Path:
    return place.with_suffix(_USES)


def _uses_of(place: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in sorted(_uses(place).iterdir()) if path.name[:1] != "."]
    return []


def _owner(state: StateDirectory) -> str:
    return hashlib.sha256(os.fsencode(state.results.absolute())).hexdigest()[:32]


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return path.stat().st_mtime < time.time() - seconds
    except OSError:
        return True


def _known_size(place: Path) -> int:
    """The size of an environment, which is counted once: after it is made, only byte code comes to it."""
    kept = place.with_suffix(".size")
    with contextlib.suppress(OSError, ValueError):
        if kept.stat().st_mtime >= (place / COMPLETE).stat().st_mtime:
            return int(kept.read_text())
    size = size_of(place)
    with contextlib.suppress(OSError):
        replace_file(kept, str(size).encode(), durable=False)
    return size
