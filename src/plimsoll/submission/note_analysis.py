"""Finds notes that contradict the claim of their own entry. Pure. An ambiguous note is not reported.

The analysis goes sentence by sentence. A sentence contradicts the claim when it denies or postpones something, and

- it denies the requirement itself: "this feature", the platform without an object, the requirement's own name; or
- nothing else in the note claims anything.

A condition, an exception or a contrast in the same sentence ("if", "but it can be installed") excludes the sentence:
it describes a case, not the whole requirement.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from plimsoll.submission.keywords import REQUIREMENT_TERMS, normalized_words
from plimsoll.submission.note_meaning import DEMANDS_ABSENCE, denies_its_claim
from plimsoll.submission.note_patterns import (
    ABSENT,
    CLAIM,
    CONDITION_FAILS,
    CONDITIONS,
    CONTRAST,
    DENIAL,
    ENABLING,
    LACKING,
    LEADING_WORDS,
    LIMITED_SCOPE,
    LIMITED_SUBJECT,
    NOT_APPLICABLE,
    NOT_JUST_SETTINGS,
    NOT_PROVIDED,
    OFF_BY_DEFAULT,
    OTHER_SOURCE,
    PARTIAL,
    PLATFORM,
    POSTPONED,
    QUALIFIER,
    THE_REQUIREMENT,
    TRAILING_WORDS,
)

MAX_HEADING_WORDS = 4
"""A longer text before a colon is a sentence, not a heading."""


def split_sentences(note: str) -> list[str]:
    """The sentences and list items of a note, in lower case with single spaces."""
    text = re.sub(
        r"\b(e\.g|i\.e|etc|vs|cf|approx)\.", lambda found: found[1].replace(".", ""), note, flags=re.IGNORECASE
    )
    parts = re.split(r"\n\s*(?:[-*•]|\d+[.)])\s+|(?<=[.!?;:])\s+|\n\s*\n", text.replace("’", "'"))
    return [sentence for part in parts if (sentence := " ".join(part.lower().split()))]


def contradicting_sentence(requirement: str, note: str, platform_names: Sequence[str] = ()) -> str:
    """The first sentence of a note that contradicts the claim of a requirement, or an empty string.

    `platform_names` are names that the note may use for the platform, in lower case.
    """
    for name in platform_names:
        note = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "the platform", note, flags=re.IGNORECASE)
    sentences = split_sentences(note)
    for index, sentence in enumerate(sentences):
        if QUALIFIER.search(sentence) or _has_contrasting_claim(sentence):
            continue
        others = [*sentences[:index], *sentences[index + 1 :]]
        nearby = sentences[max(0, index - 1) : index + 2]
        if _contradicts(requirement, sentence, nearby, others):
            return sentence
    return denies_its_claim(requirement, sentences)


def sentence_denying_condition(requirement: str, note: str) -> str:
    """The first sentence that says that a requirement's own condition does not hold, or an empty string."""
    if requirement not in CONDITIONS:
        return ""
    sentences = split_sentences(note)
    for index, sentence in enumerate(sentences):
        others = [*sentences[:index], *sentences[index + 1 :]]
        if _has_contrasting_claim(sentence) or re.search(r"\b(?:if|when|unless|instead)\b", sentence):
            continue
        denied = _component_lacking(requirement).search(sentence) or CONDITION_FAILS.search(sentence)
        found = NOT_APPLICABLE.search(sentence)
        if denied or (
            found and (_is_only_statement(sentence, found, others) or _denies_requirement(requirement, sentence, found))
        ):
            equivalent = re.compile(CONDITIONS[requirement][1])
            if not any(_is_claim(other) and equivalent.search(other) for other in others):
                return sentence
    return ""


@functools.cache
def _component_lacking(requirement: str) -> re.Pattern[str]:
    return re.compile(rf"(?:\b|^){LACKING} (?:{CONDITIONS[requirement][0]})\b{NOT_JUST_SETTINGS}")


def _contradicts(requirement: str, sentence: str, nearby: Sequence[str], others: Sequence[str]) -> bool:
    """`nearby` are the sentence and its neighbours, `others` are all other sentences of the note."""
    for pattern in (NOT_APPLICABLE, ABSENT, POSTPONED, PARTIAL):
        for found in pattern.finditer(sentence):
            can_be_proof = requirement in DEMANDS_ABSENCE and pattern is ABSENT
            if _is_only_statement(sentence, found, others) and not can_be_proof:
                return True
            if _denies_requirement(requirement, sentence, found):
                return True
    not_provided = NOT_PROVIDED.search(sentence)
    if not_provided and _platform_denies(requirement, sentence, not_provided, others):
        return True
    off = OFF_BY_DEFAULT.search(sentence)
    if off is None or any(ENABLING.search(each) for each in nearby):
        return False
    alone = _is_only_statement(sentence, off, others) and requirement not in DEMANDS_ABSENCE
    return alone or _denies_requirement(requirement, sentence, off)


def _platform_denies(requirement: str, sentence: str, found: re.Match[str], others: Sequence[str]) -> bool:
    """Whether "the platform does not …" denies the requirement.

    "Does not support" denies it. After "does not ship" another source can still provide it.
    """
    words = normalized_words(found["object"])
    terms = REQUIREMENT_TERMS.get(requirement)
    named = re.match(rf"(?:{LEADING_WORDS} )*(?:{terms.pattern})\b(?! \w+ing\b)", words) if terms else None
    whole = named or re.match(rf"(?:{THE_REQUIREMENT}|this|it)\b", words)
    denied = bool(whole) or _is_only_statement(sentence, found, others)
    if found["verb"] in (None, "support", "implement"):
        return denied
    clause = re.split(r"[,;–—(]", found["object"])[0]
    around = (*others, sentence[: found.start()], found["object"][len(clause) :])
    if any(OTHER_SOURCE.search(each) and not DENIAL.search(each) for each in around):
        return False
    return denied


def _is_only_statement(sentence: str, denial: re.Match[str], others: Sequence[str]) -> bool:
    """Whether the note says only this denial: no other sentence and no other clause of this one claims anything."""
    rest = re.split(r"[,;–—(]| and | so ", sentence[denial.end() :])[1:]
    clauses = [sentence[: denial.start()], *rest]
    return not any(_is_claim(other) for other in others) and not any(
        CLAIM.search(clause) and not DENIAL.search(clause) for clause in clauses
    )


def _denies_requirement(requirement: str, sentence: str, denial: re.Match[str]) -> bool:
    """Whether the denial concerns the whole requirement, not a part or a case of it."""
    subject, rest = sentence[: denial.start()], sentence[denial.end() :]
    words = subject.strip(" ,:;-*•>")
    if not words or re.match(rf"{THE_REQUIREMENT}\b", words):
        return not LIMITED_SUBJECT.search(subject)
    if re.fullmatch(rf"(?:this|it|support|implementation|{PLATFORM}|status|note)(?: (?:is|are))?", words):
        return True
    terms = REQUIREMENT_TERMS.get(requirement)
    if terms is None or (LIMITED_SCOPE.match(rest) and denial.re is not POSTPONED):
        return False
    return bool(
        re.fullmatch(
            rf"(?:{LEADING_WORDS} )*{terms.pattern}(?: {TRAILING_WORDS})*(?: (?:is|are))?", normalized_words(words)
        )
    )


def _has_contrasting_claim(sentence: str) -> bool:
    """Whether a claim follows "but" or "however": "not bundled, but Kueue is installed by Helm"."""
    found = CONTRAST.search(sentence)
    return bool(found and CLAIM.search(found["rest"]) and not DENIAL.search(found["rest"]))


def _is_claim(sentence: str) -> bool:
    """Whether a sentence states something without a denial. A few words with a colon are a heading."""
    is_heading = sentence.endswith(":") and len(sentence.split()) <= MAX_HEADING_WORDS
    return not DENIAL.search(sentence) and not is_heading
