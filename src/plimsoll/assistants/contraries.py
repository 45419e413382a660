"""What speaks against the support of a sentence though its words are there: denials, opposites, another order. Pure."""

from __future__ import annotations

import re

from plimsoll.assistants import terms
from plimsoll.assistants.languages import word_set
from plimsoll.assistants.terms import Terms
from plimsoll.indexes.words import words

_SHORTEST_BEGINNING = 5
_LONGEST_ENDING = 3
_BEFORE_VERB = 10
_NEAR = 2
"""Words on each side of a number that say what it counts."""
LEANS = word_set(
    "it its they them their this these those both such he she her his "
    "er sie es dies diese dieser dieses beide il elle ils elles ce cela ella esto ese lui lei"
)
"""Words by which a sentence speaks of what the one before it names."""


class Stems:
    """Stems of a text, which are found with another ending too: `modif` among `modifi`."""

    def __init__(self, stems: frozenset[str]) -> None:
        self._stems = stems
        self._begun = {beginning for stem in stems for beginning in _beginnings(stem)}

    def __contains__(self, stem: str) -> bool:
        return stem in self._stems or stem in self._begun or not self._stems.isdisjoint(_beginnings(stem))


def _beginnings(stem: str) -> list[str]:
    """A stem without its last letters, as far as what is left still tells it from others."""
    return [stem[:-cut] for cut in range(1, _LONGEST_ENDING + 1) if len(stem) - cut >= _SHORTEST_BEGINNING]


def strangers(stated: Terms, said: Terms) -> frozenset[str]:
    """Numbers that are said, and of something else: the nearest words are others."""
    found = set()
    for number, before, after in stated.company:
        beside = {*before[:_NEAR], *after[:_NEAR]}
        others = [{*left[:1], *right[:1]} for known, left, right in said.company if known == number]
        if beside and others and not any(stem in Stems(frozenset(other)) for other in others for stem in beside):
            found.add(number)
    return frozenset(found)


def contradictions(stated: Terms, said: Terms) -> frozenset[str]:
    """What one of both denies and the other does not, and words of opposite meaning."""
    denied = {stem for stem in stated.denied if stem in said.stems and stem not in said.denied}
    denied |= {stem for stem in said.denied if stem in stated.stems and stem not in stated.denied}
    turned = {
        word
        for word in stated.opposites - said.opposites
        if terms.opposite_of(word) & (said.opposites - stated.opposites)
    }
    return frozenset(denied | turned)


_ORDERS = word_set("before after than vor nach avant après antes después")


def other_order(sentence: str, said: list[str], language: str) -> frozenset[str]:
    """The word of order on whose two sides the passage has what the sentence has on the other ones."""
    stated = words(sentence)
    for order in _ORDERS & set(stated) & set(said):
        mine, theirs = _sides(stated, order, language), _sides(said, order, language)
        if mine is None or theirs is None:
            continue
        same = len(mine[0] & theirs[0]) + len(mine[1] & theirs[1])
        crossed = len(mine[0] & theirs[1]) + len(mine[1] & theirs[0])
        if crossed > same:
            return frozenset({order})
    return frozenset()


def _sides(pieces: list[str], order: str, language: str) -> tuple[set[str], set[str]] | None:
    """Stems before a word of order and after it; None where it does not stand between both."""
    place = pieces.index(order)
    left, right = (set(terms.stems_in(" ".join(side), language)) for side in (pieces[:place], pieces[place + 1 :]))
    return (left, right) if left and right else None


def other_subject(sentence: str, said: list[str], language: str) -> frozenset[str]:
    """The first word of a sentence, where the passage says what follows it of something else."""
    found = _SUBJECT.match(sentence)
    if found is None or not terms.stems_in(found[2], language):
        return frozenset()
    subject, following = found[1].casefold(), found[2]
    if subject in LEANS | _OPENERS:
        return frozenset()
    verb = terms.stems_in(following, language)
    places = [place for place, word in enumerate(said) if terms.stems_in(word, language) == verb]
    for place in places:
        before = said[max(0, place - _BEFORE_VERB) : place]
        if not before or subject in before or LEANS & set(before):
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
