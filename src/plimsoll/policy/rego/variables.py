"""Variables of rules that nothing gives a value: the kept engine takes a rule with one for a rule that never holds.

A misspelt name would let everything pass. What is found here is found without parsing the language: a name is taken for
a variable with a value in doubt, and a rule that declares its variables is never refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from plimsoll.policy.rego.engine import NotRego
from plimsoll.policy.rego.files import RuleFile

_STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_HEAD = re.compile(r"^(?:default\s+)?([A-Za-z_]\w*)", re.MULTILINE)
_IMPORT = re.compile(r"^import\s+([\w.\[\]\"]+)(?:\s+as\s+(\w+))?", re.MULTILINE)
_PARAMETERS = re.compile(r"^(?:default\s+)?[A-Za-z_]\w*\(([^)]*)\)", re.MULTILINE)
_DECLARES = re.compile(r"\b(?:some|every)\s+(.*?)(?=\bin\b|[\n;{}]|$)")
_ASSIGNS = re.compile(r"(?:^|[;{|])([^;{|\n]*?):=", re.MULTILINE)
_UNIFIES = re.compile(r"[^\n;]*(?<![:=!<>])=(?!=)[^\n;]*")
_IN_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_CALLED = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?=(?:\.\w+)*\s*\()")
_BEGINS = re.compile(r"^(?![\s})\]])", re.MULTILINE)
_NEWLINE = "\n"
_WORDS = frozenset(
    "as contains data default else every false if import in input not null package some true with".split()  # noqa: SIM905
)


def require_bound(files: Sequence[RuleFile]) -> None:
    """Raise NotRego for the first name in a rule that is no variable with a value, no rule and no import."""
    globals_by_package: dict[str, set[str]] = {}
    for file in files:
        globals_by_package.setdefault(file.package, set()).update(_HEAD.findall(_plain(file.text)))
    for file in files:
        text = _plain(file.text)
        known = {*globals_by_package[file.package], *_imported(text), *_WORDS}
        for name, at in _unbound(text, known):
            line = text.count(_NEWLINE, 0, at) + 1
            where = f"{file.name}:{line}:{at - text.rfind(_NEWLINE, 0, at)}"
            raise NotRego(f"nothing gives '{name}' a value: declare it by `some {name} in …` or `{name} := …`", where)


def _unbound(text: str, known: set[str]) -> Iterator[tuple[str, int]]:
    begins = [match.start() for match in _BEGINS.finditer(text)] or [0]
    for start, end in zip(begins, [*begins[1:], len(text)], strict=True):
        rule = text[start:end]
        if rule.startswith(("package", "import")):
            continue
        bound = known | _bound(rule)
        for match in _NAME.finditer(rule):
            if match[0] not in bound and not match[0].startswith("_"):
                yield match[0], start + match.start()


def _bound(rule: str) -> set[str]:
    """The names that a rule may give a value, and those of functions that it calls."""
    found: set[str] = {*_CALLED.findall(rule)}
    places = [*_PARAMETERS.findall(rule), *_DECLARES.findall(rule), *_ASSIGNS.findall(rule), *_UNIFIES.findall(rule)]
    for part in [*places, *_brackets(rule)]:
        found.update(_NAME.findall(part))
    return found


def _brackets(rule: str) -> Iterator[str]:
    """What is in brackets, from the inside: an index that has no value yet gets each in turn."""
    while match := _IN_BRACKETS.search(rule):
        yield match[0]
        rule = rule[: match.start()] + " " * len(match[0]) + rule[match.end() :]


def _imported(text: str) -> set[str]:
    """The names that imports give."""
    return {name or path.rpartition(".")[2] for path, name in _IMPORT.findall(text)}


def _plain(text: str) -> str:
    """The text without strings and comments, in which every other character is where it was."""
    return _STRINGS.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
