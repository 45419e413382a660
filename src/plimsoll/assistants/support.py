"""Which passage supports a sentence: by its words, and by every number, name and denial in it. Pure.

A sentence is supported where one sentence of a passage has most of its words, all of its numbers and names, speaks of
the same thing, and denies what it denies. A sentence of several clauses is also supported where each clause is. The
measure is deterministic; `tests/assistants/test_support.py` holds it to sentences that people have judged.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from plimsoll.assistants import sentences, terms
from plimsoll.assistants.contraries import LEANS, Stems, contradictions, other_order, other_subject, strangers
from plimsoll.assistants.languages import language_of, word_set
from plimsoll.assistants.passages import Passage
from plimsoll.assistants.terms import Terms, terms_of
from plimsoll.indexes.words import words

ENOUGH = 0.7
"""The share of a sentence's words that a passage must have. Source: `tests/assistants/support_pairs.jsonl`."""
_CLOSE = 0.1
"""Passages with about as large a share as the best one support a sentence too."""
_FEWEST_STEMS = 2
"""A clause with fewer is no statement of its own."""

Verdict = Literal["supported", "unsupported", "empty"]


class Support(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict on one sentence, with the numbers of the passages that support it, the best first.

    `share` is the share of its words that the best passage has. `missing` names the numbers and names that it has not,
    `against` the words that it says to the contrary or of something else. A sentence that states nothing is `empty`.
    """

    verdict: Verdict
    share: float = 0.0
    passages: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class Marked(Struct, frozen=True, kw_only=True):
    """A sentence of an answer, `start` to `end` of it, with its support."""

    start: int
    end: int
    text: str
    support: Support


class _Found(Struct, frozen=True):
    """What a passage has of a sentence."""

    share: float
    missing: frozenset[str]
    against: frozenset[str]

    @property
    def enough(self) -> bool:
        return self.share >= ENOUGH and not self.missing and not self.against

    @property
    def rank(self) -> tuple[bool, float]:
        return self.enough, self.share - 0.2 * len(self.missing) - 0.2 * len(self.against)


def mark(sentence: sentences.Sentence, passages: Sequence[Passage], question: str = "") -> Marked:
    """A sentence with its support by passages."""
    found = support(sentence.text, passages, question)
    return Marked(start=sentence.start, end=sentence.end, text=sentence.text, support=found)


def support(sentence: str, passages: Sequence[Passage], question: str = "") -> Support:
    """The support of a sentence of an answer by passages. The question tells the language of a short sentence."""
    language = language_of(sentence) or language_of(question) or terms.DEFAULT
    stated = terms_of(sentence, language)
    if stated.states_nothing or _states_nothing(sentence):
        return Support(verdict="empty")
    judged = [(each.number, _in_passage(sentence, each, language)) for each in passages]
    right = sorted(((number, found) for number, found in judged if found.enough), key=lambda each: -each[1].share)
    if right:
        best = right[0][1].share
        close = tuple(number for number, found in right if found.share >= best - _CLOSE)
        return Support(verdict="supported", share=round(best, 3), passages=close)
    if not judged:
        return Support(verdict="unsupported", missing=tuple(sorted(stated.names | stated.numbers)))
    nearest = max((found for _, found in judged), key=lambda found: found.rank)
    return Support(
        verdict="unsupported",
        share=round(nearest.share, 3),
        missing=tuple(sorted(nearest.missing)),
        against=tuple(sorted(nearest.against)),
    )


_COURTESIES = re.compile(
    r"^(?:sure|certainly|of course|the answer(?: to (?:this|your|the) question)? is|the answer|"
    r"yes|no|great question|here (?:is|are)|here['’]s|i hope|hope this|let me know|"
    r"you['’]re welcome|in summary|for example|as follows|note)\b[^.!?]{0,40}[:!.,]?$",
    re.IGNORECASE,
)


def _states_nothing(sentence: str) -> bool:
    """Whether a sentence says nothing that could be right or wrong: a courtesy, or a question."""
    said = sentence.strip()
    return said.endswith(("?", "？")) or (bool(_COURTESIES.match(said)) and not terms.numbers_in(said))


def _in_passage(sentence: str, passage: Passage, language: str) -> _Found:
    """What a passage has of a sentence as a whole, or of that of its clauses of which it has least."""
    known = _Known.of(passage.text, passage.above, language)
    whole = known.best(sentence)
    if whole.enough:
        return whole
    clauses = list(_clauses(sentence, language))
    if len(clauses) < 2:
        return whole
    worst = min((known.best(clause) for clause in clauses), key=lambda found: found.rank)
    return worst if worst.enough else whole


_CLAUSES = re.compile(r"[;:]\s+|,?\s+(?:and|but|so that|because|und|aber|et|mais|y|pero)\s+", re.IGNORECASE)


def _clauses(sentence: str, language: str) -> Iterator[str]:
    """Clauses that state something by themselves; what is shorter stays with the one before it."""
    held = ""
    for piece in _CLAUSES.split(sentence):
        both = f"{held} {piece}".strip()
        if held and len(terms_of(piece, language).stems) >= _FEWEST_STEMS <= len(terms_of(held, language).stems):
            yield held
            held = piece
        else:
            held = both
    yield held


class _Window:
    """A sentence of a passage, perhaps with those before it, worked out once."""

    def __init__(self, text: str, language: str, above: frozenset[str]) -> None:
        self.words = words(text)
        self.said = terms_of(text, language)
        self.stems = Stems(self.said.stems)
        self.near = Stems(self.said.stems | above)


class _Known:
    """What a passage says, worked out once."""

    def __init__(self, text: str, above: str, language: str) -> None:
        self._language = language
        stems_above = frozenset(terms.stems_in(above, language))
        self._above = Stems(stems_above)
        self._above_numbers = terms.numbers_in(above)
        self._folded = unicodedata.normalize("NFKC", f"{above}\n{text}").casefold()
        self._words = frozenset(words(self._folded))
        self._stems = Stems(frozenset(terms.stems_in(text, language)))
        first = next(iter(sentences.split(text)), None)
        self._denied_above = stems_above if first is not None and terms.is_denial(first.text) else frozenset()
        self._windows = [_Window(each, language, stems_above) for each in _windows(text)]

    @staticmethod
    @functools.lru_cache(maxsize=512)
    def of(text: str, above: str, language: str) -> _Known:
        return _Known(text, above, language)

    def best(self, sentence: str) -> _Found:
        """What the sentence of the passage has that has most of it."""
        stated = terms_of(sentence, self._language)
        missing = frozenset(name for name in stated.names if not self._has_name(name))
        missing |= {word for word in stated.used if word not in self._words and not self._means(word)}
        nothing = _Found(0.0, missing | stated.numbers, frozenset())
        # Those of code, such as HTTP::Tiny, are what a sentence states more often than what it is about.
        named = frozenset(terms.stems_in(" ".join(filter(str.isalpha, stated.names)), self._language))
        return max(
            (self._in_window(sentence, stated, named, missing, window) for window in self._windows),
            key=lambda found: found.rank,
            default=nothing,
        )

    def _in_window(
        self, sentence: str, stated: Terms, named: frozenset[str], missing: frozenset[str], window: _Window
    ) -> _Found:
        said = window.said
        lacking = missing | (stated.numbers - said.numbers - self._above_numbers) | strangers(stated, said)
        lacking |= {item for item in stated.listed if item not in window.near}
        share = self._share(stated.stems, named, window)
        if share < ENOUGH:
            return _Found(share, lacking, frozenset())
        against = contradictions(stated, said) | self._denied_by_answer(sentence, stated)
        against |= other_subject(sentence, window.words, self._language)
        return _Found(share, lacking, against | other_order(sentence, window.words, self._language))

    def _denied_by_answer(self, sentence: str, stated: Terms) -> frozenset[str]:
        """What the heading asks and the passage answers with no, where the sentence says yes."""
        said = stated.stems & self._denied_above
        if not said or len(said) * 2 < len(self._denied_above) or terms.denies(sentence):
            return frozenset()
        return said if _SAYS_YES & set(words(sentence)) else frozenset()

    def _share(self, stated: frozenset[str], named: frozenset[str], window: _Window) -> float:
        """The share of stems that are said here or above; of those that are neither above nor `named`, if that is less.

        A name or a title that is repeated says what a sentence is about, and nothing of it. What is said elsewhere in
        the passage, and not here, counts double: it is what parts of different sentences that are put together lack.
        """
        here = {stem for stem in stated if stem in window.stems}
        above = {stem for stem in stated if stem in self._above}
        elsewhere = {stem for stem in stated - here - above if stem in self._stems}
        own = stated - above - named
        whole, least = len(stated) + len(elsewhere), len(own) + len(elsewhere)
        return min(len(here | above) / whole if whole else 1.0, len(here & own) / least if least else 1.0)

    def _means(self, word: str) -> bool:
        stems = terms.stems_in(word, self._language)
        return any(stem in self._stems or stem in self._above for stem in stems)

    def _has_name(self, name: str) -> bool:
        """Whether a name stands in the passage as a word, or as what begins and ends where words do."""
        if name in self._words:
            return True
        at = self._folded.find(name)
        while at >= 0:
            before, after = self._folded[max(0, at - 1) : at], self._folded[at + len(name) : at + len(name) + 1]
            if not (name[0].isalnum() and before.isalnum()) and not (name[-1].isalnum() and after.isalnum()):
                return True
            at = self._folded.find(name, at + 1)
        return False


_SAYS_YES = word_set("yes can could possible able may ja kann können möglich oui peut possible sí puede si può")
_LEANS_WITHIN = 4


def _windows(text: str) -> Iterator[str]:
    """Each sentence of a passage, with one or two before it where it leans on them."""
    before: list[str] = []
    for sentence in sentences.split(sentences.unwrapped(text)):
        for piece in re.split(r";\s+", sentence.text):
            yield piece
            if before and LEANS & set(words(piece)[:_LEANS_WITHIN]):
                yield ". ".join([*before[-1:], piece])
                yield ". ".join([*before[-2:], piece])
            before.append(piece)
