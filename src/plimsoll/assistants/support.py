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
from plimsoll.assistants.languages import language_of, word_set
from plimsoll.assistants.passages import Passage
from plimsoll.assistants.terms import Terms, terms_of
from plimsoll.indexes.words import words

ENOUGH = 0.7
"""The share of a sentence's words that a passage must have. Source: `tests/assistants/support_pairs.jsonl`."""
MEASURE = "1"
"""Changes with the measure: results of different ones are not compared."""
_CLOSE = 0.1
"""Passages with about as large a share as the best one support a sentence too."""
_SHORTEST_BEGINNING = 5
_LONGEST_ENDING = 3
_BEFORE_VERB = 6
_NEAR = 2
"""Words on each side of a number that say what it counts."""
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
    if stated.states_nothing or _is_courtesy(sentence):
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
    r"^(?:sure|certainly|of course|yes|no|great question|here (?:is|are)|here['’]s|i hope|hope this|let me know|"
    r"you['’]re welcome|in summary|for example|as follows|note)\b[^.!?]{0,40}[:!.,]?$",
    re.IGNORECASE,
)


def _is_courtesy(sentence: str) -> bool:
    return bool(_COURTESIES.match(sentence.strip())) and not terms.numbers_in(sentence)


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


class _Known:
    """What a passage says, worked out once."""

    def __init__(self, text: str, above: str, language: str) -> None:
        self._language = language
        self._above = frozenset(terms.stems_in(above, language))
        self._above_numbers = terms.numbers_in(above)
        self._folded = unicodedata.normalize("NFKC", f"{above}\n{text}").casefold()
        self._words = frozenset(words(self._folded))
        self._stems = frozenset(terms.stems_in(text, language))
        self._windows = list(_windows(text))

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
        return max(
            (self._in_window(sentence, stated, missing, window) for window in self._windows),
            key=lambda found: found.rank,
            default=nothing,
        )

    def _in_window(self, sentence: str, stated: Terms, missing: frozenset[str], window: str) -> _Found:
        said = terms_of(window, self._language)
        near = said.stems | self._above
        lacking = missing | (stated.numbers - said.numbers - self._above_numbers) | _strangers(stated, said)
        lacking |= {item for item in stated.listed if not _among(item, near)}
        against = _contradictions(stated, said) | _other_subject(sentence, window, self._language)
        against |= _other_order(sentence, window, self._language)
        return _Found(self._share(stated.stems, said.stems), lacking, against)

    def _share(self, stated: frozenset[str], said: frozenset[str]) -> float:
        """The share of stems that are said here or above; without those above, if that is less.

        What is said elsewhere in the passage, and not here, counts double: it is what parts of different sentences
        that are put together lack.
        """
        here = {stem for stem in stated if _among(stem, said)}
        above = {stem for stem in stated - here if _among(stem, self._above)}
        elsewhere = {stem for stem in stated - here - above if _among(stem, self._stems)}
        beside = stated - above
        whole, own = len(stated) + len(elsewhere), len(beside) + len(elsewhere)
        shares = [(len(here) + len(above)) / whole if whole else 1.0, len(here) / own if own else 1.0]
        return min(shares)

    def _means(self, word: str) -> bool:
        return any(_among(stem, self._stems | self._above) for stem in terms.stems_in(word, self._language))

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


_LEANS = word_set(
    "it its they them their this these those both such he she her his "
    "er sie es dies diese dieser dieses beide il elle ils elles ce cela ella esto ese lui lei"
)
"""Words by which a sentence speaks of what the one before it names."""
_LEANS_WITHIN = 4


def _windows(text: str) -> Iterator[str]:
    """Each sentence of a passage, with one or two before it where it leans on them."""
    before: list[str] = []
    for sentence in sentences.split(text):
        for piece in re.split(r";\s+", sentence.text):
            yield piece
            if before and _LEANS & set(words(piece)[:_LEANS_WITHIN]):
                yield ". ".join([*before[-1:], piece])
                yield ". ".join([*before[-2:], piece])
            before.append(piece)


def _among(stem: str, known: frozenset[str]) -> bool:
    """Whether a stem is one of these, perhaps with another ending."""
    return stem in known or any(_alike(stem, other) for other in known)


@functools.lru_cache(maxsize=1 << 18)
def _alike(stem: str, other: str) -> bool:
    short, long = sorted((stem, other), key=len)
    return len(short) >= _SHORTEST_BEGINNING and len(long) - len(short) <= _LONGEST_ENDING and long.startswith(short)


def _strangers(stated: Terms, said: Terms) -> frozenset[str]:
    """Numbers that are said, and of something else: the nearest words are others."""
    found = set()
    for number, before, after in stated.company:
        beside = {*before[:_NEAR], *after[:_NEAR]}
        others = [{*left[:1], *right[:1]} for known, left, right in said.company if known == number]
        if beside and others and not any(_among(stem, frozenset(other)) for other in others for stem in beside):
            found.add(number)
    return frozenset(found)


def _contradictions(stated: Terms, said: Terms) -> frozenset[str]:
    """What one of both denies and the other does not, and words of opposite meaning."""
    denied = {stem for stem in stated.denied if stem in said.stems and stem not in said.denied}
    denied |= {stem for stem in said.denied if stem in stated.stems and stem not in stated.denied}
    turned = {
        word
        for word in stated.opposites - said.opposites
        if terms.opposite_of(word) & (said.opposites - stated.opposites)
    }
    return frozenset(denied | turned)


_ORDERS = ("before", "after", "than", "vor", "nach", "avant", "après", "antes", "después")


def _other_order(sentence: str, window: str, language: str) -> frozenset[str]:
    """The word of order on whose two sides the passage has what the sentence has on the other ones."""
    for order in _ORDERS:
        mine, theirs = (_sides(words(text), order, language) for text in (sentence, window))
        if mine is None or theirs is None:
            continue
        same = len(mine[0] & theirs[0]) + len(mine[1] & theirs[1])
        crossed = len(mine[0] & theirs[1]) + len(mine[1] & theirs[0])
        if crossed > same:
            return frozenset({order})
    return frozenset()


def _sides(pieces: list[str], order: str, language: str) -> tuple[set[str], set[str]] | None:
    """Stems before a word of order and after it; None where it does not stand between both."""
    if order not in pieces:
        return None
    place = pieces.index(order)
    left, right = (set(terms.stems_in(" ".join(side), language)) for side in (pieces[:place], pieces[place + 1 :]))
    return (left, right) if left and right else None


def _other_subject(sentence: str, window: str, language: str) -> frozenset[str]:
    """The first word of a sentence, where the passage says what follows it of something else."""
    found = _SUBJECT.match(sentence)
    if found is None or not terms.stems_in(found[2], language):
        return frozenset()
    subject, following = found[1].casefold(), found[2]
    if subject in _LEANS | _OPENERS:
        return frozenset()
    said = words(window)
    verb = terms.stems_in(following, language)
    places = [place for place, word in enumerate(said) if terms.stems_in(word, language) == verb]
    for place in places:
        before = said[max(0, place - _BEFORE_VERB) : place]
        if not before or subject in before or _LEANS & set(before):
            return frozenset()
    return frozenset({subject}) if places else frozenset()


_SUBJECT = re.compile(
    r"(?i)\W*(?:(?:the|an?|der|die|das|eine?|les?|la|une?|el|los|las|il|het|de)\s+)?(\w+)`?\s+`?(\w+)"
)
_OPENERS = word_set(
    "for in on at with without by if when while before after to from of as over under since because although you we i "
    "there here also so both each all some most many no not do use then first next finally every any this "
    "für in an mit ohne bei wenn vor nach zu von als seit weil obwohl man wir ich"
)
"""First words of a sentence that are not what it speaks of."""
