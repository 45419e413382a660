"""Removes credentials from everything that is recorded.

What looks like one goes, and so does the value of each environment variable whose name says that it is one, and what
stands as one in the application file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from plimsoll.evidence.file_secrets import values_in

REMOVED = "[removed]"
_SHORTEST_MATCH = len("://a:b@")
"""Characters that the shortest of the patterns takes."""
_NAME_OF_ONE = r"(?i)passw|secret|token|credential|api_?key|access_?key|private_?key|_pat$|(^|_)auth$|_key$"
SHORTEST = 8
"""Characters of a variable's value from which on it is removed: shorter ones are in too many other words."""


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names say that they are credentials, longest first, and each line of them."""
    return _long_enough(value for name, value in environment.items() if re.search(_NAME_OF_ONE, name))


_of_files: set[str] = set()
"""The credentials that stand in the files that this process works for."""


def remember(document: object) -> None:
    """Remove from now on what stands as a credential in the content of a file."""
    _of_files.update(_long_enough(values_in(document)))


def _long_enough(values: Iterable[str]) -> tuple[str, ...]:
    parts = {part.strip() for value in values for part in (value, *value.splitlines())}
    return tuple(
        sorted((part for part in parts if len(part) >= SHORTEST and not _is_path(part)), key=len, reverse=True)
    )


def _is_path(value: str) -> bool:
    """Whether a value names a file that holds the credential, or is a number, and is none itself."""
    return value.startswith(("/", "~/", "./")) or value.isdecimal()


def without_secrets(value: Any) -> Any:
    """The same value, with everything at any depth replaced that looks like a credential or is one of this process."""
    return _Remover().without(value)


def holds_secret(text: str) -> bool:
    """Whether a file, such as a script, holds what is a credential beyond doubt, or one that is known here.

    Words such as `token` alone are too common in code: they count only before a value that is written out.
    """
    known = (*_known(tuple(os.environb.items())), *_of_files)
    return any(secret in text for secret in known) or any(pattern.search(text) for pattern in _certain())


class _Remover:
    """The environment is read at most once for a value, and not at all for one that is too short for a secret."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] | None = None

    def without(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) < _SHORTEST_MATCH else self._replaced(value)
        if isinstance(value, Mapping):
            return {self.without(key): self.without(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(item) for item in value]
        return value

    def _replaced(self, text: str) -> str:
        if len(text) >= SHORTEST:
            if self._known is None:
                own = {*_known(tuple(os.environb.items())), *_of_files}
                self._known = tuple(sorted(own, key=len, reverse=True))
            for secret in self._known:
                text = text.replace(secret, REMOVED)
        for pattern in _patterns():
            text = pattern.sub(_replacement, text)
        return text


@lru_cache(maxsize=1)
def _known(environment: tuple[tuple[bytes, bytes], ...]) -> tuple[str, ...]:
    """The values of the environment's secrets, worked out anew only when the environment has changed."""
    return secret_values({os.fsdecode(name): os.fsdecode(value) for name, value in environment})


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """What credentials look like. Compiled when first needed: most commands of the command line remove nothing."""
    return (
        # JSON Web Tokens, of service accounts and of people.
        re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"),
        re.compile(
            r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]*)"
            r"(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;]{4,}"
        ),
        re.compile(r"\bA[KS]IA[0-9A-Z]{16}\b"),
        re.compile(r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|sk-|hf_|npm_|pypi-|AIza)[A-Za-z0-9_-]{16,}"),
        re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    )


@cache
def _certain() -> tuple[re.Pattern[str], ...]:
    """What is a credential in code too."""
    named = r"(?:password|passwd|passphrase|secret|api_?key|access_?key|secret_?key|auth_?token|access_?token)"
    return (
        *(pattern for number, pattern in enumerate(_patterns()) if number not in _LIKE_CODE),
        re.compile(rf"(?i)\b\w*{named}['\"]?\]?\s*[=:]\s*['\"][^\s'\"{{}}$<>]{{8,}}['\"]"),
    )


_LIKE_CODE = frozenset({2, 3})
"""The positions of the patterns that words of code match too: `basic statistics`, `token = next(words)`."""


def _replacement(found: re.Match[str]) -> str:
    # The name of a credential stays where the pattern has one.
    groups = [group for group in found.groups() if group]
    if len(groups) == 2:  # name and separator
        return f"{groups[0]}{groups[1]}{REMOVED}"
    return REMOVED
