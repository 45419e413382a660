"""The figures of an evaluation by name, what they mean, and which way is better. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_AT = re.compile(r"^(recall|ndcg)@([1-9][0-9]?|100)$")
FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "recall@K": "documents that answer, among those of the first K passages",
        "ndcg@K": "their rank among the documents of the first K passages; 1 where they come first",
        "facts": "key facts that stand in the answer",
        "cited": "answers of which a supported sentence stands on a document that answers",
        "supported": "sentences that a passage supports, of those that state something",
        "answered": "questions with an answer in the documents that were answered, and not refused",
        "refused": "questions without an answer in the documents that were refused",
        "search_ms": "milliseconds of a search, 95th percentile",
        "before_ms": "milliseconds before the language model is asked, 95th percentile",
        "first_token_ms": "milliseconds from there to the first token, 95th percentile",
        "answer_ms": "milliseconds from there to the last token, 95th percentile",
    }
)
"""Each figure of quality is a share, from 0 to 1."""
SHOWN_AT = (1, 4, 10)
"""The K that every evaluation shows; those of `accept` come beside them."""


def is_figure(name: str) -> bool:
    """Whether an evaluation has a figure of this name."""
    return bool(_AT.match(name)) or (name in FIGURES and not name.endswith("@K"))


def rank_of(name: str) -> int | None:
    """The K of a figure such as `recall@4`; None for another one."""
    match = _AT.match(name)
    return int(match[2]) if match else None


def known_figures() -> list[str]:
    """Names for suggestions."""
    at = [f"{name}@{rank}" for name in ("recall", "ndcg") for rank in SHOWN_AT]
    return [*at, *(name for name in FIGURES if not name.endswith("@K"))]


def less_is_better(name: str) -> bool:
    """Whether a smaller value of a figure is the better one."""
    return name.endswith("_ms")
