"""The files that a command's result depends on: the files that it names, and the local modules of its scripts."""

from __future__ import annotations

import ast
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from msgspec import Struct

from plimsoll.application.command_words import Word, imports_in, words_of
from plimsoll.application.digests import IGNORED_DIRECTORIES, files_below

DIRECTORY_LIMIT = 10_000
"""Files of a directory that a command names; a larger one is data."""
SCRIPT_LIMIT = 1 << 20
"""Bytes of a script that are read for the files that it names."""
_SHELL_SUFFIXES = frozenset({".sh", ".bash", ".ksh", ".zsh"})
_SHELL = re.compile(rb"^#!.*\b(?:ba|da|k|z)?sh\b")
_PYTHON = re.compile(rb"^#!.*\bpython")
_IMPLICIT = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "just": ("justfile", "Justfile"),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
}
"""Files that programs read without being told."""
_RECIPES = frozenset(itertools.chain(*_IMPLICIT.values()))
_MODULE_ENDINGS = (".py", *EXTENSION_SUFFIXES, "/__init__.py", "/__main__.py")
_GLOB = re.compile(r"[*?\[]")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")
_SETTINGS = frozenset(
    {"", ".yaml", ".yml", ".json", ".jsonl", ".toml", ".ini", ".cfg", ".conf", ".env", ".xml"}
    | {".csv", ".parquet", ".txt", ".md"}
)
"""Suffixes of files that are no code. A program in the application's directory has none, and is executable."""
_PLAIN = frozenset(
    """
    . : [ awk basename bash cat cd chmod cp curl cut date diff dirname echo exit export false find for grep gunzip gzip
    head in join ls mkdir mktemp mv paste popd printf pushd rm sed seq set sh sleep sort source tail tar tee test touch
    tr trap true umask uniq unset unzip wc wget xargs zip
    """.split()  # noqa: SIM905 - a list of words reads better than a list of strings
)
"""Programs that do what their arguments say, so that the command line is all of their code."""


class CommandCode(Struct, frozen=True, kw_only=True):
    """The files of a command, sorted, and a sentence about what was not found; empty for nothing."""

    files: tuple[Path, ...]
    note: str = ""


class _Search:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.found: dict[Path, None] = {}
        self.left_out: dict[str, None] = {}
        self.programs: dict[str, None] = {}

    def run(self, command: str) -> None:
        """Find the files of a command and, from file to file, of everything that it starts."""
        waiting = [*self.in_text(command, self.directory)]
        while waiting:
            path = waiting.pop()
            if path not in self.found:
                self.found[path] = None
                waiting += self.in_file(path)

    def in_text(self, text: str, *roots: Path) -> Iterator[Path]:
        """Files that a command line or a shell script names, below `roots` or the directories that it names itself."""
        words = list(words_of(text))
        places = dict.fromkeys(roots)
        for word in words:
            for path in self.paths(word, [*places]):
                if path.is_dir():
                    places[path] = None
        inline = {word.program for word in words if word.option == "-c"}
        self.programs |= dict.fromkeys(word.program for word in words if word.program not in inline)
        for word in words:
            yield from self.of_word(word, [*places])
            for name in _IMPLICIT.get(word.text, ()) if word.text == word.program else ():
                yield from (path for root in places if _is_file(path := root / name))
        for name in imports_in(text):
            yield from self.module(name, *places)

    def of_word(self, word: Word, places: list[Path]) -> Iterator[Path]:
        """Files that one word names."""
        name, attribute, _ = (word.text.partition("=")[2] or word.text).partition(":")
        if word.is_module or (attribute and _DOTTED.match(name)):
            yield from self.module(name, *places)
        for path in self.paths(word, places):
            if path.is_dir():
                if not (word.is_place or word.is_written):
                    yield from self.below(path)
            elif path.is_file():
                yield path

    def paths(self, word: Word, places: Iterable[Path]) -> Iterator[Path]:
        """Files and directories that a word may mean, inside the application or reached from it by `..`."""
        for candidate in dict.fromkeys(word.candidates):
            if not candidate.strip("./"):
                # The application's own directory, or one above: what counts of it is named by other words.
                continue
            is_absolute = candidate.startswith("/")
            if is_absolute and not Path(candidate).is_relative_to(self.directory):
                continue
            for place in places:
                path = _existing(candidate if is_absolute else f"{place}/{candidate}")
                if path and not self.directory.is_relative_to(path):
                    yield path
                elif not is_absolute and _GLOB.search(candidate):
                    yield from _matches(place, candidate)

    def below(self, directory: Path) -> Iterator[Path]:
        """The files of a directory that a command is given, unless there are too many for code."""
        if IGNORED_DIRECTORIES & set(Path(os.path.relpath(directory, self.directory)).parts):
            return
        try:
            files = list(itertools.islice(files_below(directory), DIRECTORY_LIMIT + 1))
        except OSError as error:
            self.left_out[f"{os.path.relpath(directory, self.directory)} cannot be read: {error.strerror}"] = None
            return
        if len(files) > DIRECTORY_LIMIT:
            reason = f"has more than {DIRECTORY_LIMIT} files and does not count as code"
            self.left_out[f"{os.path.relpath(directory, self.directory)} {reason}"] = None
            return
        yield from (path for path in files if path.is_file())

    def in_file(self, path: Path) -> Iterator[Path]:
        """Files that a file of the code names: modules of a Python script, files of a shell script."""
        try:
            with path.open("rb") as file:
                first = file.read(200).split(b"\n")[0]
            if path.suffix == ".py" or _PYTHON.match(first):
                yield from self.imported_by(path)
            elif path.suffix in _SHELL_SUFFIXES or path.name in _RECIPES or _SHELL.match(first):
                with path.open(encoding="utf-8", errors="surrogateescape") as script:
                    lines = script.read(SCRIPT_LIMIT).splitlines()
                text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
                yield from self.in_text(text, self.directory, path.parent)
        except OSError:
            # Its digest is what says that a file cannot be read.
            return

    def imported_by(self, path: Path) -> Iterator[Path]:
        """Local modules that a script imports; none for a script that cannot be parsed."""
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            return
        top = path.parent
        while (top / "__init__.py").is_file() and top != top.parent:
            top = top.parent
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self.module(alias.name, path.parent, top, self.directory)
            elif isinstance(node, ast.ImportFrom):
                bases = [path.parent, top, self.directory]
                if node.level:
                    bases = [path.parents[min(node.level, len(path.parents)) - 1]]
                module = node.module or ""
                for name in [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]:
                    yield from self.module(name, *bases, outside=node.level == 0)

    def module(self, name: str, *roots: Path, outside: bool = True) -> Iterator[Path]:
        """The file of a module below one of the roots, and the `__init__.py` files of its packages.

        `outside` adds the places where Python and the layout of projects look too.
        """
        parts = [part for part in name.split(".") if part]
        more = (*roots, self.directory / "src", *self._python_path()) if outside else roots
        for root in dict.fromkeys(more):
            for depth in range(1, len(parts) + 1):
                base = "/".join((str(root), *parts[:depth]))
                for ending in _MODULE_ENDINGS:
                    if _is_there(base + ending) and _is_file(path := Path(base + ending)):
                        yield path

    def _python_path(self) -> Iterator[Path]:
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
            path = Path(os.path.normpath(self.directory / entry))
            if entry and path.is_relative_to(self.directory):
                yield path

    def note(self) -> str:
        """What was not found, as a sentence."""
        if self.left_out:
            return "; ".join(self.left_out)
        if not any(map(_is_code, self.found)) and not set(self.programs) <= _PLAIN | {""}:
            return "no script or module of it was found here, so that a change of its code is not seen"
        return ""


def code_files(command: str, directory: Path) -> CommandCode:
    """Files that a command runs or is given, without programs found on PATH."""
    search = _Search(directory)
    search.run(command)
    return CommandCode(files=tuple(sorted(search.found)), note=search.note())


def files_matching(pattern: str, directory: Path) -> list[Path]:
    """Files that an entry of `code:` matches, sorted: a path, a directory or a glob pattern. Empty without a match.

    Raises OSError for a directory that cannot be read.
    """
    named = directory / pattern
    matches = [named] if named.exists() else list(directory.glob(pattern))
    files = [file for match in matches for file in (files_below(match) if match.is_dir() else [match])]
    return sorted(
        file for file in files if file.is_file() and not IGNORED_DIRECTORIES & set(file.relative_to(directory).parts)
    )


def _is_code(path: Path) -> bool:
    return path.suffix not in _SETTINGS or (not path.suffix and os.access(path, os.X_OK)) or path.name in _RECIPES


def _matches(place: Path, pattern: str) -> Iterator[Path]:
    """What a pattern of the shell matches; of a bare `*`, which is often no pattern, nothing."""
    first, below, _ = pattern.partition("/")
    if not pattern.strip("*?[]"):
        return
    try:
        found = itertools.islice(place.glob(pattern), DIRECTORY_LIMIT)
        yield from (path for path in found if path.is_file() or (below and not _GLOB.search(first)))
    except (ValueError, OSError, NotImplementedError, re.error):
        # It is no pattern of files, such as a regular expression for grep.
        return


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # The word is too long for a file name, or contains a NUL.
        return False


def _existing(name: str) -> Path | None:
    """The path of a file or directory that exists, in its shortest form."""
    name = os.path.normpath(name)
    path = Path(name) if _is_there(name) else None
    return path if path and (_is_file(path) or path.is_dir()) else None


def _is_there(name: str) -> bool:
    """Whether something has this name, found out before a Path is made of it: most words and imports are no files."""
    try:
        return os.access(name, os.F_OK)
    except ValueError:
        # It contains a NUL, or what no name of a file can be written with.
        return False
