"""The beginnings of requests as chained blocks, and which replica has read which of them lately. Pure.

An engine keeps what it has read: a request whose beginning it knows gets its first token sooner there. Which that is
is told by texts and not by tokens, so that a router need not have the tokenizer of each model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from plimsoll.llms.requests import Asked

BLOCK = 256
"""Bytes of a block: some sixty tokens. What is shorter is read again so soon that it is no reason to wait."""
MOST_BLOCKS = 256
"""Blocks of one request that are looked at: 64 KiB of its beginning."""
MOST_KNOWN = 1 << 16
"""Blocks that are remembered: the beginnings of 16 MiB of texts, in about as much memory."""
MOST_READERS = 4
"""Replicas that are remembered of one block, the latest first."""
_BEFORE = ("tools", "chat_template_kwargs", "reasoning_effort")
"""Fields of a request that templates put before its messages, or that change how they are put."""


def blocks_of(asked: Asked) -> tuple[int, ...]:
    """A number for each whole block of a request's beginning, which depends on all that stands before it.

    Two requests have their first `n` numbers in common when, and but for chance only when, their first `n` blocks are
    the same, by the same model or adapter.
    """
    text = b"".join(_beginning(asked))
    chain, found = 0, []
    for start in range(0, min(len(text), BLOCK * MOST_BLOCKS) - BLOCK + 1, BLOCK):
        # The hash of a text is drawn anew for each process: nobody can write two texts with the same.
        chain = hash((chain, text[start : start + BLOCK]))
        found.append(chain)
    return tuple(found)


def _beginning(asked: Asked) -> Iterator[bytes]:
    """As much of a request as its blocks need, in the order in which an engine reads it."""
    head = msgspec.json.encode([asked.model, *(asked.fields.get(word) for word in _BEFORE)])
    yield head
    left = BLOCK * MOST_BLOCKS - len(head)
    question = asked.question
    for part in question if isinstance(question, list) else (question,):
        if left <= 0:
            return
        piece = part[:left].encode() if isinstance(part, str) else msgspec.json.encode(part)
        left -= len(piece)
        yield piece


class Prefixes:
    """Blocks and their readers. Beyond `most` those go that nobody has asked for longest."""

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._readers: OrderedDict[int, tuple[int, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._readers)

    def readers(self, blocks: Sequence[int]) -> list[int]:
        """The replicas that have read some of the beginning: most of it first, of the same length the latest first."""
        left: Sequence[int] = ()
        found: list[int] = []
        for number, block in enumerate(blocks):
            known = self._readers.get(block, ())
            now = known if not number else [each for each in known if each in left]
            # Those that do not go on from here have read less than all that do.
            found = [each for each in left if each not in now] + found
            left = now
            if not left:
                return found
        return [*left, *found]

    def remember(self, blocks: Sequence[int], replica: int) -> None:
        """This replica reads them now."""
        known = self._readers
        # The first block last: without it the others are of no use, so that it has to go after them.
        for block in reversed(blocks):
            before = known.get(block, ())
            if not before or before[0] != replica:
                known[block] = (replica, *(each for each in before if each != replica))[:MOST_READERS]
            known.move_to_end(block)
        while len(known) > self._most:
            known.popitem(last=False)

    def forget(self, replica: int) -> None:
        """This replica has lost what it had read."""
        for block, readers in list(self._readers.items()):
            if replica not in readers:
                continue
            left = tuple(each for each in readers if each != replica)
            if left:
                self._readers[block] = left
            else:
                del self._readers[block]
