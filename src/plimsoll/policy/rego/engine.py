"""The port to whatever evaluates Rego, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from plimsoll.policy.rego.files import WORDS, RuleFile

SECONDS = 10.0
"""Seconds that all rules may take together. Those of a large company take milliseconds."""
MEMORY = 2 << 30
"""Bytes of memory that an engine's process may have."""
MOST_ANSWER = 16 << 20
MOST_INPUT = 256 << 20


class Query(Struct, frozen=True, kw_only=True):
    """One question: a word of a package, and the file and line at which it is defined first."""

    package: str
    word: str
    where: str

    @property
    def text(self) -> str:
        """The question in Rego."""
        return f"data.{self.package}.{self.word}"


class Answer(Struct, frozen=True, kw_only=True):
    """What an engine says to one query: a JSON value, None for undefined; or `problem`, which is never a pass."""

    query: Query
    value: object = None
    problem: str = ""


class NotRego(Exception):
    """Text that is not Rego. `where` is file:line:column as far as the engine tells."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.message, self.where = message, where


class RegoEngine(Protocol):
    """Evaluates rules in a process of its own, within bounds."""

    def evaluate(self, files: Sequence[RuleFile], document: bytes, queries: Sequence[Query]) -> Sequence[Answer]:
        """An answer for each query, also when the engine ends or is ended before. Raises NotRego."""
        ...


def queries_of(files: Sequence[RuleFile]) -> tuple[Query, ...]:
    """One query for each word of each package that defines it."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        for word in WORDS:
            if line := file.defines(word):
                found.setdefault((file.package, word), f"{file.name}:{line}:1")
    return tuple(Query(package=package, word=word, where=where) for (package, word), where in found.items())
