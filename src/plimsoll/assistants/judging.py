"""Judges recorded answers: what was found, what was said, what it stands on. Pure, and the same whenever it is done.

No model judges: facts are texts and numbers that must stand in an answer, and the support of sentences is the measure
that every answer is marked by.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from plimsoll.assistants.answering import Outcome, Stages
from plimsoll.assistants.figures import SHOWN_AT, rank_of
from plimsoll.assistants.passages import Passage
from plimsoll.assistants.questions import Judged
from plimsoll.assistants.sentences import split
from plimsoll.assistants.support import support
from plimsoll.assistants.terms import numbers_in
from plimsoll.decoding import decodable
from plimsoll.indexes.words import words

RANKS = max(SHOWN_AT)
"""Passages whose documents are recorded for each question, or more where `accept` names more."""


@decodable
class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was observed of one question: its answer, the documents by rank of their passages, the passages given.

    `error` says why there is no answer.
    """

    judged: Judged
    ranked: tuple[str, ...] = ()
    outcome: Outcome | None = None
    text: str = ""
    passages: tuple[Passage, ...] = ()
    finish: str = ""
    tokens: int | None = None
    stages: Stages | None = None
    error: str = ""


class Judgement(Struct, frozen=True, kw_only=True):
    """The judgement of one question. `facts` are the shares of those asked for; None where none is.

    `cited` says whether a supported sentence stands on a document that answers. `right` needs all of it.
    """

    question: str
    unanswerable: bool
    outcome: Outcome | None
    first_rank: int | None
    facts: float | None
    missing_facts: tuple[str, ...]
    cited: bool
    supported: int
    stated: int
    right: bool
    error: str = ""


def judge(record: Record) -> Judgement:
    """The judgement of one record."""
    judged = record.judged
    spoke = record.outcome in {"answered", "unsupported"}
    found = [support(each.text, record.passages, judged.question) for each in split(record.text)] if spoke else []
    stated = [each for each in found if each.verdict != "empty"]
    by_number = {each.number: each.id for each in record.passages}
    used = {by_number[number] for each in stated for number in each.passages if number in by_number}
    missing = tuple(_worded(fact) for fact in judged.facts if not (spoke and states_fact(record.text, fact)))
    cited = not used.isdisjoint(judged.documents)
    refused = record.outcome == "refused"
    return Judgement(
        question=judged.question,
        unanswerable=judged.unanswerable,
        outcome=record.outcome,
        first_rank=next((rank for rank, each in enumerate(record.ranked, 1) if each in judged.documents), None),
        facts=1 - len(missing) / len(judged.facts) if judged.facts else None,
        missing_facts=missing,
        cited=cited,
        supported=sum(each.verdict == "supported" for each in stated),
        stated=len(stated),
        right=refused if judged.unanswerable else spoke and cited and not missing,
        error=record.error,
    )


def figures(records: Sequence[Record], more: Iterable[str] = ()) -> dict[str, float | None]:
    """The figures of an evaluation, and those of `more`; None for what no question can tell."""
    judgements = [judge(each) for each in records]
    answerable = [each for each in records if not each.judged.unanswerable]
    known = [each for each in judgements if not each.unanswerable]
    spoken = [each for each in known if each.outcome in {"answered", "unsupported"}]
    ranks = sorted({*SHOWN_AT, *filter(None, map(rank_of, more))})
    found: dict[str, float | None] = {
        **{f"recall@{rank}": _mean([recall(each, rank) for each in answerable]) for rank in ranks},
        **{f"ndcg@{rank}": _mean([ndcg(each, rank) for each in answerable]) for rank in ranks},
        "facts": _mean([each.facts for each in known if each.facts is not None]),
        "cited": _mean([float(each.cited) for each in spoken]),
        "supported": _share(sum(each.supported for each in judgements), sum(each.stated for each in judgements)),
        "answered": _mean([float(each.outcome in {"answered", "unsupported"}) for each in known]),
        "refused": _mean([float(each.outcome == "refused") for each in judgements if each.unanswerable]),
    }
    return found | _latencies(records)


def _latencies(records: Sequence[Record]) -> dict[str, float | None]:
    stages = [each.stages for each in records if each.stages is not None]
    written = [each.stages for each in records if each.stages is not None and each.outcome and each.tokens != 0]
    spoke = [each for each in written if each.first_token > 0]
    return {
        "search_ms": _p95([each.retrieval for each in stages]),
        "before_ms": _p95([each.retrieval + each.prompt for each in stages]),
        "first_token_ms": _p95([each.first_token for each in spoke]),
        "answer_ms": _p95([each.answer for each in spoke]),
    }


def recall(record: Record, rank: int) -> float:
    """The share of the documents that answer among those of the first passages."""
    expected = set(record.judged.documents)
    return len(expected & set(record.ranked[:rank])) / len(expected) if expected else 0.0


def ndcg(record: Record, rank: int) -> float:
    """The discounted gain of the documents that answer, by their rank among documents, of the best possible one."""
    expected = set(record.judged.documents)
    documents = list(dict.fromkeys(record.ranked[:rank]))
    gain = sum(1 / math.log2(place + 2) for place, each in enumerate(documents) if each in expected)
    best = sum(1 / math.log2(place + 2) for place in range(min(len(expected), rank)))
    return gain / best if best else 0.0


def states_fact(text: str, fact: str | tuple[str, ...]) -> bool:
    """Whether a text has a fact: its number, its words in their order, or a sign as it is written."""
    if not isinstance(fact, str):
        return any(states_fact(text, each) for each in fact)
    numbers = numbers_in(fact)
    if numbers and not set(words(fact)) - {piece for each in numbers for piece in words(each)}:
        return numbers <= numbers_in(text)
    sought, said = words(fact), words(text)
    if not sought or any(not (character.isalnum() or character.isspace()) for character in fact):
        return unicodedata.normalize("NFKC", fact).casefold() in unicodedata.normalize("NFKC", text).casefold()
    return any(said[at : at + len(sought)] == sought for at in range(len(said) - len(sought) + 1))


class Change(Struct, frozen=True, kw_only=True):
    """A figure of two versions."""

    name: str
    before: float | None
    now: float | None


def compare(before: Mapping[str, float | None], now: Mapping[str, float | None]) -> list[Change]:
    """Figures that both versions have, in their order."""
    return [Change(name=name, before=before[name], now=value) for name, value in now.items() if name in before]


def turned(before: Iterable[Judgement], now: Iterable[Judgement]) -> tuple[list[str], list[str]]:
    """Questions that were right before and are not now, and the other way round."""
    was = {each.question: each.right for each in before}
    lost = [each.question for each in now if was.get(each.question) is True and not each.right]
    won = [each.question for each in now if was.get(each.question) is False and each.right]
    return lost, won


def _worded(fact: str | tuple[str, ...]) -> str:
    return fact if isinstance(fact, str) else " or ".join(fact)


def _mean(values: Sequence[float]) -> float | None:
    return _share(sum(values), len(values))


def _share(part: float, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _p95(values: Sequence[float]) -> float | None:
    """The smallest value that 95 in 100 do not exceed."""
    ordered = sorted(values)
    return round(ordered[math.ceil(0.95 * len(ordered)) - 1], 1) if ordered else None
