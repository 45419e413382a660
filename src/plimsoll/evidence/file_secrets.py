"""Credentials that stand in a file itself, by the names beside them: in fields, and in the words of commands. Pure."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping

_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_QUERY = re.compile(r"[?&]([^=&#\s]+)=([^&#\s]+)")
_PARTS = re.compile(r"[_\-.]+|(?<=[a-z0-9])(?=[A-Z])")
_SECRET = frozenset({"pass", "pwd", "token", "apikey", "auth", "authorization", "pat", "sig", "signature"})
_WITHIN = re.compile(r"passw|passphrase|secret|credential")
"""What makes any word one of a credential, as in `PGPASSWORD`."""
_KEYS = frozenset({"api", "access", "private", "secret", "account", "signing", "encryption"})
"""Words before `key` that make it a credential."""
_ABOUT = frozenset({"file", "path", "name", "dir", "directory", "url", "id", "count", "length", "size", "type", "mode"})
"""Last words of a name that is about a credential and holds none."""


def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a credential: `HF_TOKEN`, `api-key`, `dbPassword`; not `tokenizer`."""
    words = [word.lower() for word in _PARTS.split(name) if word]
    if not words or words[-1] in _ABOUT:
        return False
    keys = itertools.pairwise(words)
    if _SECRET.intersection(words) or any(map(_WITHIN.search, words)):
        return True
    return any(after == "key" and word in _KEYS for word, after in keys)


def values_in(document: object) -> Iterator[str]:
    """The values of credentials anywhere in a document of mappings, lists and texts."""
    if isinstance(document, str):
        yield from _in_text(document)
    elif isinstance(document, Mapping):
        # As Kubernetes writes variables.
        if is_secret_name(str(document.get("name", ""))) and isinstance(document.get("value"), str):
            yield document["value"]
        for name, value in document.items():
            if is_secret_name(str(name)):
                yield from _texts(value)
            yield from values_in(value)
    elif isinstance(document, list | tuple):
        for each in document:
            yield from values_in(each)


def _texts(value: object) -> Iterator[str]:
    """Every text below a field that is a credential, such as its `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _in_text(text: str) -> Iterator[str]:
    try:
        words = shlex.split(text, comments=False)
    except ValueError:
        words = [re.sub(r"[\"']", "", word) for word in text.split()]
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        name, given, value = word.partition("=")
        if given and is_secret_name(name.lstrip("-")):
            yield value
        elif not given and word.startswith("-") and is_secret_name(word.lstrip("-")) and not following.startswith("-"):
            yield following
        if "://" in word:
            yield from _in_address(value if given and "://" not in name else word)


def _in_address(address: str) -> Iterator[str]:
    yield from _PASSWORD.findall(address)
    yield from (value for name, value in _QUERY.findall(address) if is_secret_name(name))
