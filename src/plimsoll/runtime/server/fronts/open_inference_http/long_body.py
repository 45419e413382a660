"""A long JSON request in two parts: its lists of data, as places in the body, and the short JSON around them. Pure.

The lists are found without making an object of what is in them, window by window, so that other threads go on.
"""

from __future__ import annotations

import re

from plimsoll.runtime.long_lists import LONGEST_TEXT, StillWanted, mask_escapes
from plimsoll.runtime.tensors import BadTensor

LONG = 64 << 10
"""Bytes of JSON above which a request is read in a thread: decoding as many takes a millisecond."""
MOST_AROUND = LONG
"""Bytes of the JSON around the data."""
MOST_LISTS = 1024
WINDOW = 256 << 10
TAIL = MOST_AROUND
"""Bytes in which the end of a list must be: white space and the name of the next field."""
_DATA = re.compile(rb'(?<!\\)"data"\s*+:\s*+\[')
_OUTSIDE = re.compile(rb'(?:[^"{}:]++|"[^"]*+")*+')
"""As far as there are only values and lists, and texts that are there as a whole."""


def split(body: memoryview, still_wanted: StillWanted) -> tuple[bytes, list[memoryview]]:
    """The JSON with `[0]`, `[1]` and so on in the places of the lists of data, and these lists. Raises BadTensor."""
    around: list[bytes] = []
    lists: list[memoryview] = []
    start = length = 0
    while len(lists) < MOST_LISTS:
        found = _DATA.search(body, start, start + MOST_AROUND)
        if found is None:
            break
        begin = found.end() - 1
        end = _end_of_list(body, begin, still_wanted)
        around += (bytes(body[start:begin]), b"[%d]" % len(lists))
        lists.append(body[begin:end])
        length += begin - start
        start = end
    if length + len(body) - start > MOST_AROUND:
        raise BadTensor(f"the request has more than {MOST_AROUND} bytes of JSON beside the lists in `data`")
    around.append(bytes(body[start:]))
    return b"".join(around), lists


def _end_of_list(body: memoryview, begin: int, still_wanted: StillWanted) -> int:
    """The place after the last bracket of the list that begins at `begin`. Raises BadTensor."""
    position, size = begin, WINDOW
    while position < len(body):
        still_wanted()
        window = mask_escapes(bytes(body[position : position + size]))
        match = _OUTSIDE.match(window)
        stop = match.end() if match else 0
        if stop < len(window) and window[stop] != ord('"'):
            return _before_next_field(body, begin, position + stop)
        # A text that does not end in the window is looked at again, in a larger one when it is as long as this.
        size = WINDOW if stop else 2 * size
        if size > 2 * LONGEST_TEXT:
            raise BadTensor(f"data has a text of more than {LONGEST_TEXT} bytes; send what is longer in binary")
        if not stop and position + size // 2 >= len(body):
            break
        position += stop
    raise BadTensor("the JSON of the request ends within data")


def _before_next_field(body: memoryview, begin: int, stop: int) -> int:
    """The end of the list when `stop` is the brace after it, or the colon after the name of the next field."""
    tail = bytes(body[max(begin, stop - TAIL) : stop])
    if body[stop] == ord(":"):
        name = tail.rstrip()
        before = name[: max(0, name.rfind(b'"', 0, len(name) - 1))].rstrip()
        kept = before[:-1].rstrip() if name.endswith(b'"') and before.endswith(b",") else b""
    else:
        kept = tail.rstrip()
    if not kept.endswith(b"]") or body[stop] == ord("{"):
        raise BadTensor("data is not a list of values")
    return stop - len(tail) + len(kept)
