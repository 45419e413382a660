"""Passages that were retrieved for a question."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct

from plimsoll.indexes.took import Took


class Passage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage: `text` is `start` to `end` of the document `id`, in characters.

    `number` is its rank among those of one question, from 1. `relevance` is what `refuse` is compared with.
    """

    number: int
    id: str
    source: str
    start: int
    end: int
    score: float
    relevance: float
    text: str
    title: str = ""
    heading: str = ""

    @property
    def above(self) -> str:
        """The title of the document and the headings above the passage."""
        return " › ".join(each for each in (self.title, self.heading) if each)


class Retrieve(Protocol):
    """Finds passages: the best `most` for a question, best first, of what a caller with these labels may see."""

    def __call__(
        self, question: str, most: int, labels: Collection[str] | None, took: Took | None = None
    ) -> list[Passage]:
        """Search; `took` is told what its parts have taken."""
        ...


def ranked_documents(passages: Collection[Passage]) -> list[str]:
    """The documents of passages, each at the rank of its first one."""
    return list(dict.fromkeys(each.id for each in passages))
