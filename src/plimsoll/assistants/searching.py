"""Searches of an index as an assistant asks for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from plimsoll.assistants.passages import Passage, Retrieve
from plimsoll.assistants.relevance import relevance
from plimsoll.indexes.took import Took

if TYPE_CHECKING:
    from plimsoll.indexes.reading import SearchIndex


def passages_of(index: SearchIndex) -> Retrieve:
    """Searches of an index as an assistant asks for them."""

    def retrieve(question: str, most: int, labels: Collection[str] | None, took: Took | None = None) -> list[Passage]:
        hits = index.search(question, most, labels, took=took)
        return [
            Passage(
                number=number,
                id=hit.id,
                source=hit.source,
                start=hit.start,
                end=hit.end,
                score=hit.score,
                relevance=relevance(index.facts.search, question, hit.score, f"{hit.title} {hit.heading} {hit.text}"),
                text=hit.text,
                title=hit.title,
                heading=hit.heading,
            )
            for number, hit in enumerate(hits, start=1)
        ]

    return retrieve
