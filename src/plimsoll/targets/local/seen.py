"""Finds on this machine what the processes of a sandbox have to see, and what they must not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

import plimsoll
from plimsoll.application.isolation import Isolation
from plimsoll.application.scalars import memory_in_bytes
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.home import config_home, home
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import Plan
from plimsoll.runtime.isolation.view import DEVICES, SYSTEM, Sight, View, strict_paths
from plimsoll.state.directory import NAME, StateDirectory
from plimsoll.vault.use import key_files

_KEYS = (".ssh", ".gnupg")
"""Directories below the home directory that no step has business in."""
_CREDENTIALS = (
    *(".aws", ".azure", ".kube", ".docker", ".password-store", ".mozilla", ".config", ".local/share/keyrings"),
    *(".netrc", ".pypirc", ".git-credentials", ".npmrc", ".vault-token", ".pgpass", ".my.cnf"),
    *(".huggingface", ".cache/huggingface/token", ".cargo/credentials.toml", ".bash_history", ".python_history"),
)
"""Files and directories there with which other systems are reached."""
_AGENTS = ("SSH_AUTH_SOCK",)
_MISSING = "correct the path, or make it first; relative ones begin at the application file"
_OF_PREFIX = ("bin", "lib", "lib64", "libexec", "include", "ssl", "pyvenv.cfg")
"""What a Python needs of the directory that it is installed in, which may be the home directory's `.local`."""


class Seen(Struct, frozen=True, kw_only=True):
    """What an attempt needs: the application's directory, its own, its inputs, and the PATH of its programs."""

    directory: Path
    state: StateDirectory
    own: list[Path]
    inputs: list[Path]
    search: str


def view_of(seen: Seen, asked: Isolation) -> View:
    """The view of an attempt. Raises TargetError for a path of the file that is not there."""
    reads = [_named(each, seen.directory) for each in asked.reads]
    hidden = dict(_hidden(seen.state, strict=asked.level == "strict"))
    if asked.level == "process":
        let_in = dict.fromkeys((str(path) for path in reads), Sight.READ)
        paths = {path: sight for path, sight in hidden.items() if path not in let_in}
        # Below what is hidden, what is let in has to be brought back.
        back = {
            path: sight for path, sight in let_in.items() if View(whole=True, paths=paths, directory="/").hides(path)
        }
        return View(whole=True, paths={**paths, **back}, directory=str(seen.directory), as_root=os.geteuid() == 0)
    writes = [_named(each, seen.directory) for each in asked.writes]
    found = home()
    # A container with an arbitrary user has the root as its home.
    own_home = str(found) if found is not None and found.is_absolute() and found != Path("/") else "/root"
    read = [path for path in (seen.directory, *_toolchain(seen.search), *seen.inputs, *reads) if os.path.lexists(path)]
    written = [path for path in (*seen.own, *writes) if os.path.lexists(path)]
    if not _is_directory(own_home) and any(Path(own_home).is_relative_to(each) for each in read):
        # Nothing can be laid over what is not there, where the rest cannot be written.
        own_home = "/root"
    paths = strict_paths(SYSTEM, own_home, _resolved(read), _resolved(written), hidden)
    view = View(whole=False, paths=paths, directory=str(seen.directory))
    for path in map(str, read):
        # By another way than links that are seen themselves.
        if view.hides(path):
            paths[path] = Sight.READ
    return View(
        whole=False,
        paths=paths,
        directory=str(seen.directory),
        network=asked.network,
        room=memory_in_bytes(asked.temporary),
        devices=(*DEVICES, *sorted(map(str, Path("/dev").glob("nvidia*")))),
    )


def path_problems(plan: Plan, directory: Path) -> Iterator[Shortfall]:
    """Paths of the file that are to be let in, and are not there."""
    for step in plan.steps:
        asked = step.isolation
        for word, paths in (("reads", asked.reads), ("writes", asked.writes)) if asked is not None else ():
            for path in paths:
                if not _is_there(_place(path, directory)):
                    message = f"isolation of {step.name} lets in {path}, which does not exist"
                    yield Shortfall(step=step.name, setting=("isolation", word), message=message, remedy=_MISSING)


def _place(path: str, directory: Path) -> Path:
    try:
        named = Path(path).expanduser()
    except RuntimeError:
        # The home directory of a user who is not known.
        named = Path(path)
    return Path(os.path.normpath(directory / named))


def _is_there(path: Path | str) -> bool:
    """Also where a directory above may not be read: it is not there for the step then, and no error."""
    return os.access(path, os.F_OK)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path raises an error where a directory above may not be read


def _named(path: str, directory: Path) -> Path:
    found = _place(path, directory)
    if not _is_there(found):
        message = f"isolation lets in {path}, which does not exist"
        raise TargetError(message, where=str(found), hint=_MISSING, lasting=True)
    return found


def _hidden(state: StateDirectory, *, strict: bool) -> Iterator[tuple[str, Sight]]:
    """What is hidden, where it is."""
    found = home()
    paths = [found / name for name in (*_KEYS, *(_CREDENTIALS if strict else ()))] if found is not None else []
    with contextlib.suppress(PlimsollError):
        paths.append(config_home() / "plimsoll")
    paths += [Path(os.environ[name]) for name in _AGENTS if os.environ.get(name)]
    if strict:
        paths += [state.application / NAME, state.common]
    else:
        paths += [state.audit_keys, state.root / "keeper", *state.services.glob("*.token")]
    paths += key_files()
    for path in paths:
        real = os.path.realpath(path)
        if _is_directory(real):
            yield real, Sight.HIDDEN
        elif os.path.lexists(real):
            yield real, Sight.HIDDEN_FILE


def _resolved(paths: Iterable[Path]) -> list[str]:
    """Where paths lead. What links in them lead to is not followed: a step may have made them."""
    found = dict.fromkeys(map(os.path.realpath, paths))
    return [path for path in found if _is_there(path)]


def _toolchain(search: str) -> Iterator[Path]:
    """The programs on PATH, the Python of the step and that of plimsoll with their libraries, and plimsoll itself."""
    yield Path(plimsoll.__file__).parent
    pythons = {sys.executable, shutil.which("python", path=search), shutil.which("python3", path=search)}
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    for python in filter(None, pythons):
        prefixes |= {Path(python).parent.parent, Path(os.path.realpath(python)).parent.parent, *_base_of(Path(python))}
    for prefix in sorted(prefixes):
        if not _is_system(prefix):
            yield from (prefix / name for name in _OF_PREFIX)
            yield from _editable(prefix)
    for directory in map(Path, search.split(os.pathsep)):
        if directory.is_absolute() and not _is_system(directory):
            yield directory


def _base_of(python: Path) -> Iterator[Path]:
    """The installation that a virtual environment was made of."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home" and Path(value.strip()).is_absolute():
                yield Path(value.strip()).parent


def _editable(prefix: Path) -> Iterator[Path]:
    """Directories of packages that are installed where they are, by PEP 610."""
    for about in prefix.glob("lib/python3*/site-packages/*.dist-info/direct_url.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            told = json.loads(about.read_bytes())
            if told.get("dir_info", {}).get("editable") and told["url"].startswith("file:///"):
                yield Path(urllib.parse.unquote(told["url"].removeprefix("file://")))


def _is_system(path: Path) -> bool:
    return path == Path("/") or any(path.is_relative_to(each) for each in SYSTEM)
