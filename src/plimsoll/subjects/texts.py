"""An id in bytes that have no cells: whole, and not as a part of a longer word or number. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from mmap import mmap

from plimsoll.subjects.identity import Matcher

MASK = b"*"
_AROUND = 16
"""Bytes before and after a place that tell whether a longer word begins or goes on."""
_ESCAPES = re.compile(r"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-F]{2})\Z")
_BEFORE = re.compile(r"(?:\w|\w[-@+]|[0-9]\.)\Z")
_AFTER = re.compile(r"^(?:\w|[-@+]\w|\.[0-9])")
_BEFORE_ADDRESS = re.compile(r"(?:\w|\w[-.@+])\Z")
_AFTER_ADDRESS = re.compile(r"^(?:\w|[-.@+]\w)")
"""Of an id with a dot or an `@`, a dot goes on with it: `ann@example.org` is not `ann@example.org.uk`."""
_OTHER_SCRIPTS = 0x250
"""Characters from here on are more probably numbers than letters next to a text in a binary file."""
Buffer = bytes | bytearray | mmap


def places(content: Buffer, matcher: Matcher) -> Iterator[tuple[int, int]]:
    """Where the id stands in a content: begin and end in bytes, without those inside of a longer word."""
    found = {place for needle in matcher.needles() for place in _of(content, needle)}
    end = -1
    for begin, last in sorted(found, key=lambda place: (place[0], -place[1])):
        if begin >= end:
            yield begin, last
            end = last


def has(content: Buffer, needles: Iterable[bytes]) -> bool:
    """Whether a content has any of these bytes at all."""
    return any(content.find(needle) >= 0 for needle in needles)


def masked(content: bytes, matcher: Matcher) -> tuple[bytes, int]:
    """The content with the id struck out, as long as before, and how often it stood there."""
    result, count = bytearray(content), 0
    for begin, end in places(content, matcher):
        result[begin:end] = struck_out(content, begin, end)
        count += 1
    return bytes(result), count


def struck_out(content: Buffer, begin: int, end: int) -> bytes:
    """What stands in place of an id, as long as it is. A number of JSON becomes a text, so that the line stays JSON."""
    size = end - begin
    before, after = bytes(content[max(0, begin - 1) : begin]), bytes(content[end : end + 1])
    bare = before in {b":", b",", b"[", b" "} and after in {b",", b"]", b"}"}
    if bare and size > 1 and bytes(content[begin:end]).isdigit():
        return b'"' + MASK * (size - 2) + b'"'
    width = next((width for width in (4, 2) if _is_wide(content, begin, end, width)), 1)
    return MASK.ljust(width, b"\0") * (size // width)


def text_masked(text: str, matcher: Matcher) -> str:
    """A name or a sentence with the id struck out."""
    content, count = masked(text.encode("utf-8", "surrogateescape"), matcher)
    return content.decode("utf-8", "surrogateescape") if count else text


def _of(content: Buffer, needle: bytes) -> Iterator[tuple[int, int]]:
    at = content.find(needle)
    while at >= 0:
        end = at + len(needle)
        if _is_whole(content, at, end):
            yield at, end
        at = content.find(needle, at + 1)


def _is_whole(content: Buffer, begin: int, end: int) -> bool:
    width = next((width for width in (4, 2) if _is_wide(content, begin, end, width)), 1)
    encoding = {1: "utf-8", 2: "utf-16-le", 4: "utf-32-le"}[width]
    around = _AROUND * width
    first, last = bytes(content[max(0, begin - around) : begin]), bytes(content[end : end + around])
    before = first[len(first) % width :].decode(encoding, "ignore")
    after = last[: len(last) - len(last) % width].decode(encoding, "ignore")
    own = bytes(content[begin:end]).decode(encoding, "replace")
    if width > 1 or _is_binary(first + last):
        return not _joined(own[0], before[-1:], before[-2:-1]) and not _joined(own[-1], after[:1], after[1:2])
    before = before[: -len(found[0])] + " " if (found := _ESCAPES.search(before)) else before
    dotted = "@" in own or "." in own
    begins = own[:1].isalnum() and (_BEFORE_ADDRESS if dotted else _BEFORE).search(before)
    goes_on = own[-1:].isalnum() and (_AFTER_ADDRESS if dotted else _AFTER).search(after)
    return not begins and not goes_on


def _is_binary(around: bytes) -> bool:
    """Whether bytes are of no text: it has no control characters but tabs and ends of lines."""
    return any(each < 32 and each not in b"\t\n\r" for each in around)


def _joined(edge: str, next_to: str, beyond: str) -> bool:
    """Whether a longer word or number goes on there, in bytes where lengths and codes stand between texts.

    One letter next to a word may be such a code, and two are another word.
    """
    if ord(next_to or "\0") >= _OTHER_SCRIPTS:
        return False
    if edge.isdigit():
        return next_to.isdigit()
    return edge.isalpha() and next_to.isalpha() and beyond.isalpha()


def _is_wide(content: Buffer, begin: int, end: int, width: int) -> bool:
    """Whether bytes are characters of this width: all of the first plane have zeros in the same places."""
    found = bytes(content[begin:end])
    if len(found) % width or len(found) < width:
        return False
    high = found[2::4] + found[3::4] if width == 4 else found[1::2]
    return not any(high)
