"""Which files a command's result depends on: the scripts that it names and the local modules that they import."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from plimsoll.application.digests import LEFT_OUT

_WORDS = re.compile(r"[^\s|&;<>()$`\"']+")
_WRITTEN = re.compile(r">+\s*[^\s|&;<>()$`\"']+")
"""What a shell writes to: a result of the command and nothing that it depends on."""


def code_files(command: str, directory: Path) -> list[Path]:
    """Files below `directory` that a command runs, sorted; programs found on PATH are not among them."""
    found: dict[Path, None] = {}
    waiting = list(_named(command, directory))
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting += _imported(path, directory)
    return sorted(found)


def matching(pattern: str, directory: Path) -> list[Path]:
    """Files that a pattern, a path or a directory of `code:` stands for, sorted; empty when it matches nothing."""
    named = directory / pattern
    matches = [named] if named.exists() else list(directory.glob(pattern))
    files = [file for match in matches for file in (match.rglob("*") if match.is_dir() else [match])]
    return sorted(file for file in files if file.is_file() and not LEFT_OUT & set(file.relative_to(directory).parts))


def _named(command: str, directory: Path) -> Iterator[Path]:
    command = _WRITTEN.sub(" ", command)
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
        # A word too long for a name, or with a NUL in it, is no file.
        return False


def _imported(path: Path, directory: Path) -> Iterator[Path]:
    """Local modules that a script imports; a script that cannot be parsed imports nothing that we can know."""
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
    """The file of a module that lies below one of the roots, and those of the packages it is in."""
    parts = [part for part in name.split(".") if part]
    for root in dict.fromkeys(roots):
        for depth in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:depth])
            yield from (
                file for file in (base.with_suffix(".py"), base / "__init__.py", base / "__main__.py") if file.is_file()
            )
