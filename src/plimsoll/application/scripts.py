"""The script that a simple command starts, so that one that is not there is told before anything runs."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

_PYTHON = re.compile(r"^python[0-9.]*$")
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_BEFORE = frozenset({"env", "exec", "nohup", "time"})
_WITH_VALUE = {
    True: frozenset({"-W", "-X", "--check-hash-based-pycs"}),
    False: frozenset({"-o", "-O"}),
}
"""Options whose value is the next word: of Python (True), and of shells."""
_INSTEAD = frozenset({"-m", "-c", "-s"})
"""Options of interpreters with which there is no script."""
_SHELL_SYNTAX = re.compile(r"[|&;<>()$`*?\[\]{}~\n]")


def missing_script(command: str, directory: Path) -> str | None:
    """The script that a command starts and that is not in `directory`; None when it is there, or cannot be told.

    Only commands are judged that a shell would not change, such as `python train.py --rounds 3` and `./prepare`.
    """
    script = _script_of(command)
    if script is None or Path(script).is_absolute():
        return None
    try:
        return None if (directory / script).exists() else script
    except (OSError, ValueError):
        return None


def similar_file(script: str, directory: Path) -> str:
    """A file of the directory whose name is much like the script's; empty without one."""
    try:
        names = [path.name for path in (directory / script).parent.iterdir() if path.is_file()]
    except OSError:
        return ""
    close = difflib.get_close_matches(Path(script).name, names, n=1, cutoff=0.6)
    return str(Path(script).with_name(close[0])) if close else ""


def starts_script(command: str) -> str | None:
    """The script that a command hands to Python, where Python is its first word and no shell is needed."""
    if _SHELL_SYNTAX.search(command):
        return None
    try:
        first, *rest = shlex.split(command)
    except ValueError:
        return None
    return _first_argument(iter(rest), python=True) if _PYTHON.match(Path(first).name) else None


def _script_of(command: str) -> str | None:
    if _SHELL_SYNTAX.search(command):
        return None
    try:
        words = iter(shlex.split(command))
    except ValueError:
        return None
    for word in words:
        if word in _BEFORE or re.match(r"^\w+=", word):
            continue
        if _PYTHON.match(word) or word in _SHELLS:
            return _first_argument(words, python=word not in _SHELLS)
        return word if word.startswith("./") else None
    return None


def _first_argument(words: Iterator[str], *, python: bool) -> str | None:
    for word in words:
        if not word.startswith("-"):
            return word
        if word in _WITH_VALUE[python]:
            next(words, None)
        elif word[:2] in _INSTEAD or word == "-":
            return None
    return None
