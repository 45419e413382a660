"""The files that a command's result depends on: the scripts that it names and the local modules that they import."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from plimsoll.application.digests import IGNORED_DIRECTORIES

_WORDS = re.compile(r"[^\s|&;<>()$`\"']+")
_REDIRECTIONS = re.compile(r">+\s*[^\s|&;<>()$`\"']+")
"""Files that the shell writes to: results of the command, not its inputs."""


def code_files(command: str, directory: Path) -> list[Path]:
    """Files below `directory` that a command runs, sorted, without programs found on PATH."""
    found: dict[Path, None] = {}
    waiting = list(_files_in_command(command, directory))
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting += _imported_modules(path, directory)
    return sorted(found)


def files_matching(pattern: str, directory: Path) -> list[Path]:
    """Files that an entry of `code:` matches, sorted: a path, a directory or a glob pattern. Empty without a match."""
    named = directory / pattern
    matches = [named] if named.exists() else list(directory.glob(pattern))
    files = [file for match in matches for file in (match.rglob("*") if match.is_dir() else [match])]
    return sorted(
        file for file in files if file.is_file() and not IGNORED_DIRECTORIES & set(file.relative_to(directory).parts)
    )


def _files_in_command(command: str, directory: Path) -> Iterator[Path]:
    command = _REDIRECTIONS.sub(" ", command)
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    words += _WORDS.findall(command)
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            yield from _module(word, directory, directory)
        path = directory / word
        if not Path(word).is_absolute() and _is_file(path):
            yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # The word is too long for a file name, or contains a NUL.
        return False


def _imported_modules(path: Path, directory: Path) -> Iterator[Path]:
    """Local modules that a script imports; none for a script that cannot be parsed."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, path.parent, directory)
        elif isinstance(node, ast.ImportFrom):
            base = path.parent
            for _ in range(node.level - 1):
                base = base.parent
            module = node.module or ""
            for name in [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]:
                yield from _module(name, base, directory)


def _module(name: str, *roots: Path) -> Iterable[Path]:
    """The file of a module below one of the roots, and the `__init__.py` files of its packages."""
    parts = [part for part in name.split(".") if part]
    for root in dict.fromkeys(roots):
        for depth in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:depth])
            yield from (
                file for file in (base.with_suffix(".py"), base / "__init__.py", base / "__main__.py") if file.is_file()
            )
