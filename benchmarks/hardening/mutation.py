"""Changes of bytes and of JSON values, drawn by a seeded generator. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

TOKENS = (
    b"null", b"NaN", b"-Infinity", b"true", b"-0", b"-1", b"1e999", b"1_5", b"0x10", b"9223372036854775808",
    b"18446744073709551616", b"99999999999999999999999999", b"0.1e-400", b'"', b'"\\ud800"', b"[]", b"{}", b"[[[[[[[[",
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xf0\x9f\x92\xa9", b"\r\n", b"\n", b"\r", b"\t", b" ", b":", b",", b"%00",
    b"%2e%2e/", b"../", b"//", b"*", b"&a", b"*a", b"!!python/none", b"<<", b"---\n", b"\xe2\x80\xae", b"\x1b[31m",
)  # fmt: skip
"""Bytes that readers treat in a way of their own."""
VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 0.5, 1e39, 1e308, -0.0,
    float("nan"), float("inf"), "", "x", "1", "é", "\u202e", "\x00", [], [1], [[]], [None], {}, {"a": 1}, "x" * 5000,
    [0] * 2000, ["a", 1], [[1, 2], [3]], [True, 1.5],
)  # fmt: skip
"""JSON values in place of others."""
LARGEST = 1 << 20
"""Bytes of a changed input at most."""


def _spot(random: Random, raw: bytes) -> tuple[int, int]:
    start = random.randrange(len(raw) + 1)
    return start, min(len(raw), start + random.choice((1, 1, 2, 4, 8, 32, 200)))


def _flipped(random: Random, raw: bytes) -> bytes:
    if not raw:
        return raw
    at = random.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << random.randrange(8))]) + raw[at + 1 :]


def _overwritten(random: Random, raw: bytes) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + random.randbytes(end - start) + raw[end:]


def _inserted(random: Random, raw: bytes) -> bytes:
    start, _ = _spot(random, raw)
    return raw[:start] + random.choice(TOKENS) + raw[start:]


def _replaced(random: Random, raw: bytes) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + random.choice(TOKENS) + raw[end:]


def _deleted(random: Random, raw: bytes) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + raw[end:]


def _repeated(random: Random, raw: bytes) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + raw[start:end] * random.choice((2, 3, 20, 500)) + raw[end:]


def _truncated(random: Random, raw: bytes) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


def _moved(random: Random, raw: bytes) -> bytes:
    start, end = _spot(random, raw)
    rest = raw[:start] + raw[end:]
    to = random.randrange(len(rest) + 1)
    return rest[:to] + raw[start:end] + rest[to:]


def _renumbered(random: Random, raw: bytes) -> bytes:
    """One run of digits as another number."""
    digits = [at for at, byte in enumerate(raw) if 48 <= byte <= 57]
    if not digits:
        return raw
    at = random.choice(digits)
    end = at
    while end < len(raw) and 48 <= raw[end] <= 57:
        end += 1
    number = random.choice((b"0", b"-1", b"255", b"256", b"65536", b"2147483648", b"9007199254740993", b"9" * 30))
    return raw[:at] + number + raw[end:]


CHANGES: Sequence[Callable[[Random, bytes], bytes]] = (
    _flipped, _overwritten, _inserted, _replaced, _deleted, _repeated, _truncated, _moved, _renumbered,
)  # fmt: skip


def mutated(random: Random, raw: bytes) -> bytes:
    """The bytes after one to four changes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        raw = random.choice(CHANGES)(random, raw)[:LARGEST]
    return raw


def mutated_json(random: Random, value: Any) -> bytes:
    """JSON of a value in which one to three nodes are replaced, removed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2, 3))):
        holder, key = random.choice(_nodes(value))
        if holder is None:
            return json.dumps(random.choice(VALUES)).encode()
        change = random.randrange(4)
        if change == 0:
            del holder[key]
        elif change == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(random.choice(VALUES))
    return json.dumps(value, ensure_ascii=random.random() < 0.5).encode()


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every node as its holder and its key there; the root has no holder."""
    found: list[tuple[Any, Any]] = [(None, None)] if not value else []
    waiting = [value]
    while waiting and len(found) < 2000:
        holder = waiting.pop()
        keys: Sequence[Any] = list(holder) if isinstance(holder, dict) else range(len(holder))
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    return found
