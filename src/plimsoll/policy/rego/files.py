"""Files with rules in Rego, read within bounds: which package each is of, and where its rules begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from plimsoll.application.paths import files_ending
from plimsoll.application.policies import RULES
from plimsoll.documents.places import display_path
from plimsoll.errors import FileError
from plimsoll.files import open_regular

PACKAGE = "plimsoll"
WORDS = ("deny", "warn")
MOST_FILES = 200
MOST_BYTES = 1 << 20
_TESTS = "_test.rego"
_PACKAGE = re.compile(r"^\s*package\s+([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*(?:#.*)?$")
_RULE = re.compile(r"^(?:default\s+)?(deny|warn)\b")


class RuleFile(Struct, frozen=True, kw_only=True):
    """A file: how messages call it, its text, its package, and the line of the first rule of each word."""

    name: str
    text: str
    package: str
    lines: tuple[tuple[str, int], ...]

    def defines(self, word: str) -> int:
        """The line at which a word is defined first; 0 when it is not."""
        return dict(self.lines).get(word, 0)


def read_rules(path: Path) -> tuple[RuleFile, ...]:
    """The rules in a directory, or in one file. Raises FileError.

    What would never be asked is a mistake, because it would let everything pass: rules in another package, and files
    without any.
    """
    found = tuple(map(_read, _paths(path)))
    if not found:
        hint = f"write rules in Rego into files that end with {RULES}"
        raise FileError("there are no rules", where=display_path(path), hint=hint)
    for file in found:
        inside = file.package == PACKAGE or file.package.startswith(f"{PACKAGE}.")
        if not inside and file.lines:
            word, line = file.lines[0]
            hint = f"write `package {PACKAGE}`, or `package {PACKAGE}.NAME`"
            text = f"`{word}` is in the package {file.package}, where nobody asks for it"
            raise FileError(text, where=f"{file.name}:{line}:1", hint=hint)
    if not any(file.lines for file in found):
        hint = "write `deny contains message if { … }`: what it gives stops a run"
        raise FileError("no rule is called deny or warn", where=display_path(path), hint=hint)
    return found


def _paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [each for each in files_ending(path, (RULES,)) if not each.name.endswith(_TESTS)]
    if len(found) > MOST_FILES:
        raise FileError(f"there are more than {MOST_FILES} files of rules", where=display_path(path))
    return found


def _read(path: Path) -> RuleFile:
    name = display_path(path)
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"the rules cannot be read: {error.strerror or error}", where=name) from error
    if len(content) > MOST_BYTES:
        raise FileError(f"the file has more than {MOST_BYTES} bytes", where=name, hint="split it into several")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError("this is not UTF-8 text", where=f"{name}:{line}:1", hint="save the file as UTF-8") from None
    lines = text.splitlines()
    package = next((match[1] for line in lines if (match := _PACKAGE.match(line))), "")
    if not package:
        hint = f"begin it with `package {PACKAGE}`"
        raise FileError("the file says no package", where=f"{name}:1:1", hint=hint)
    return RuleFile(name=name, text=text, package=package, lines=tuple(_rules(lines)))


def _rules(lines: list[str]) -> Iterator[tuple[str, int]]:
    seen = set()
    for number, line in enumerate(lines, start=1):
        if (match := _RULE.match(line)) and match[1] not in seen:
            seen.add(match[1])
            yield match[1], number
