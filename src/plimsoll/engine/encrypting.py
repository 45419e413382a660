"""Holds what an application keeps against what its file says of encryption: makes a vault, opens it, or refuses."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import msgspec
from msgspec import Struct

from plimsoll.application.encryption import AT, Encryption
from plimsoll.application.encryption_checks import check_encryption
from plimsoll.application.loading import ApplicationFile
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import NAME, StateDirectory
from plimsoll.state.lock import require_free
from plimsoll.vault.locking import noted_problem
from plimsoll.vault.use import SEALED, is_held, is_vault, plain_state

if TYPE_CHECKING:
    from plimsoll.vault.key_sources import KeySource

ROTATE = "change the key of what is kept: plimsoll encryption rotate"


@decodable
class _Running(Struct, frozen=True):
    pid: int = 0


def ensure_encryption(file: ApplicationFile) -> None:
    """Open what an application keeps as its file says; make a vault of it the first time.

    Raises FileError where the file says otherwise than what is kept, KeyProblem, SealedDamaged and TargetError.
    """
    state, asked = file.directory / NAME, file.application.encryption
    if asked is None:
        if is_vault(state):
            raise file.error(
                "what this application keeps is encrypted, and the file does not say under which key",
                "put `encryption` back, or take it off what is kept: plimsoll encryption remove",
                "spec",
                at_key=True,
            )
        return
    if not is_vault(state):
        _make(file, state, asked)
    _require_same(file, state, asked)
    plain_state(state, source_of(asked))


def source_of(asked: Encryption) -> KeySource:
    """Where the file says that the key is."""
    from plimsoll.vault.key_sources import KeySource

    key = asked.key
    return KeySource(file=key.file or "", env=key.env or "", command=key.command or ())


class _KeyOfPods(TypedDict, total=False):
    secret: str
    key: KeySource


def key_of_pods(file: ApplicationFile) -> _KeyOfPods:
    """What a cluster's target is told of encryption; nothing where what it keeps is in clear."""
    asked = file.application.encryption
    if asked is None or asked.key.secret is None:
        return {}
    from plimsoll.vault.key_sources import located

    return {"secret": asked.key.secret, "key": located(source_of(asked), file.directory)}


def _make(file: ApplicationFile, state: Path, asked: Encryption) -> None:
    from plimsoll.vault.adopting import make_vault

    require_unused(state)
    try:
        make_vault(state, file.application.name, source_of(asked), _workspace(asked))
    except OSError as error:
        message = f"what is kept cannot be sealed: {error.strerror}"
        raise TargetError(message, where=str(error.filename or state), hint="it is in clear, as it was") from error


def _require_same(file: ApplicationFile, state: Path, asked: Encryption) -> None:
    from plimsoll.vault import header

    about = header.read(state)
    if about.by != header.noted(source_of(asked)):
        told = "a command" if about.by_command else about.by.told
        raise file.error(f"what is kept is encrypted under another key, that of {told}", ROTATE, *AT, "key")
    if about.workspace != _workspace(asked):
        raise file.error("what is kept is opened in another place", ROTATE, *AT, "workspace")


def require_unused(state: Path) -> None:
    """Raise TargetError while a run or a service uses the plain files of a state directory that is no vault."""
    for root in (state, *(state / "targets").glob("*")):
        require_free(root / "lock")
    for record in (state / "services").glob("*.json"):
        try:
            pid = msgspec.json.decode(record.read_bytes(), type=_Running).pid
            if pid <= 0:
                continue
            os.kill(pid, 0)
        except (*UNREADABLE, OSError):
            continue
        raise TargetError(
            f"the service {record.stem} uses what is to be encrypted",
            where=str(record),
            hint="stop it first: plimsoll down",
        )


def _workspace(asked: Encryption) -> str:
    return str(Path(asked.workspace).expanduser()) if asked.workspace else ""


class SealedState(Struct, frozen=True, kw_only=True):
    """How what is kept is encrypted. `bytes` are those of sealed files; `open_in` is empty while it is closed.

    `problem` says what is in clear and should not be.
    """

    encrypted: bool
    key: str = ""
    by: str = ""
    cipher: str = ""
    files: int = 0
    bytes: int = 0
    open_in: str = ""
    problem: str = ""


def sealed_state(path: Path) -> SealedState:
    """What can be told of an application's encryption without its key. Raises SealedDamaged."""
    state = path.absolute().parent / NAME
    if not is_vault(state):
        return SealedState(encrypted=False)
    from plimsoll.vault import header
    from plimsoll.vault.opening import OBJECTS
    from plimsoll.vault.places import PlainPlace

    about = header.read(state)
    sizes = sealed_sizes(state / SEALED / OBJECTS)
    place = PlainPlace(state, about.workspace)
    is_open = is_held(state)
    problem = noted_problem(place.directory, state / SEALED)
    if not is_open and place.holds(about.vault):
        problem = f"plain files are left in {place.state}: what seals them was killed; `plimsoll status` seals them"
    return SealedState(
        encrypted=True,
        key=about.key,
        by="a command of the file" if about.by_command else about.by.told,
        cipher=about.cipher,
        files=len(sizes),
        bytes=sum(sizes),
        open_in=str(place.state) if is_open else "",
        problem=problem,
    )


def sealed_sizes(objects: Path) -> list[int]:
    """The bytes of each sealed file. One that goes while they are counted does not count."""
    sizes = []
    for each in objects.iterdir():
        with contextlib.suppress(FileNotFoundError):
            sizes.append(each.stat().st_size)
    return sizes


def rotate_key(file: ApplicationFile, old_key: Path | None) -> tuple[str, str]:
    """Put what is kept under the key that the file names; the ids of the key so far and of the new one.

    Raises FileError for a file that names none or keeps nothing encrypted, KeyProblem, SealedDamaged and TargetError.
    """
    from plimsoll.vault import changing, header
    from plimsoll.vault.key_sources import KeySource

    check_encryption(file)
    state, asked = file.directory / NAME, file.application.encryption
    if asked is None:
        raise file.error(
            "the file names no key", "add `encryption`, or use plimsoll encryption remove", "spec", at_key=True
        )
    require_vault(state)
    before = header.read(state)
    # A command that has become another one may unwrap what the one before it has wrapped: a KMS is asked by both.
    old = source_of(asked) if before.by_command else before.by
    if old_key is not None:
        old = KeySource(file=str(old_key.absolute()))
    after = changing.rotate(state, old, source_of(asked), _workspace(asked))
    return before.key, after.key


def remove_encryption(path: Path) -> Path:
    """Open what is kept for good; returns its directory. The file is read for a key that a command gives."""
    from plimsoll.vault import changing, header

    state = path.absolute().parent / NAME
    require_vault(state)
    about = header.read(state)
    asked = KINDS.load(path).application.encryption if about.by_command else None
    changing.remove(state, about.by if asked is None else source_of(asked))
    return state


def export_latest(state: StateDirectory, into: Path) -> list[str]:
    """Copy the newest files of each step to a new directory; returns their names. Raises FileError and OSError."""
    if into.exists():
        raise FileError("it is there already", where=str(into), hint="name a directory that is not there yet")
    into.mkdir(parents=True)
    for link in state.latest.glob("*/*"):
        # One that leads nowhere is of a result that is gone.
        if link.is_dir():
            shutil.copytree(link, into / link.relative_to(state.latest))
    return sorted(str(each.relative_to(into)) for each in into.rglob("*") if each.is_file())


def require_vault(state: Path) -> None:
    """Raise FileError for a state directory that is not encrypted."""
    if not is_vault(state):
        hint = "add `encryption` to the file, and run the application"
        raise FileError("what this application keeps is not encrypted", where=str(state), hint=hint)
