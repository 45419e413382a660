"""Whether a note speaks against its own claim. Pure, and careful: what could be read both ways is let be.

A note is taken sentence by sentence. A sentence counts when it denies or postpones something, and what it denies is the
requirement itself ("this feature", the platform without an object, the requirement's own words), or nothing else in
the note claims anything. A condition, an exception or a contrast in the same sentence ("if", "but it can be installed")
takes the sentence out: then it tells of a case, not of the whole.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from plimsoll.submission.phrases import (
    ABSENT,
    BEFORE,
    CASE,
    CLAIM,
    CONDITION_FAILS,
    CONDITIONS,
    CONTRAST,
    DENIAL,
    ELSEWHERE,
    ENABLING,
    GENERIC,
    LACKS,
    LEAD,
    NOT_APPLICABLE,
    NOT_ITS_SETTINGS,
    OFF,
    PARTIAL,
    PLATFORM,
    POSTPONED,
    REFUSED,
    SCOPED,
    TAIL,
)
from plimsoll.submission.topics import CONCEPTS, plain

HEADING = 4
"""Words of a heading at most."""
# Here it is the point that something is not there, not seen, not open.
_GUARDED = frozenset({"secure_accelerator_access", "workload_sandboxing"})


def sentences(note: str) -> list[str]:
    """The sentences and list items of a note, in lower case with single spaces."""
    text = re.sub(
        r"\b(e\.g|i\.e|etc|vs|cf|approx)\.", lambda found: found[1].replace(".", ""), note, flags=re.IGNORECASE
    )
    parts = re.split(r"\n\s*(?:[-*•]|\d+[.)])\s+|(?<=[.!?;:])\s+|\n\s*\n", text.replace("’", "'"))
    return [plain for part in parts if (plain := " ".join(part.lower().split()))]


def against(requirement: str, note: str, names: Sequence[str] = ()) -> str:
    """The sentence with which a note speaks against the claim that a requirement is met, or nothing.

    `names` are what else the platform is called, in lower case.
    """
    for name in names:
        note = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "the platform", note, flags=re.IGNORECASE)
    said = sentences(note)
    for place, sentence in enumerate(said):
        if CASE.search(sentence) or _contrasted(sentence):
            continue
        others = [*said[:place], *said[place + 1 :]]
        if _against(requirement, sentence, said[max(0, place - 1) : place + 2], others):
            return sentence
    return ""


def condition_denied(requirement: str, note: str) -> str:
    """The sentence by which a requirement's own condition does not hold, or nothing."""
    if requirement not in CONDITIONS:
        return ""
    said = sentences(note)
    for place, sentence in enumerate(said):
        others = [*said[:place], *said[place + 1 :]]
        if _contrasted(sentence) or re.search(r"\b(?:if|when|unless|instead)\b", sentence):
            continue
        denied = _lacking(requirement).search(sentence) or CONDITION_FAILS.search(sentence)
        found = NOT_APPLICABLE.search(sentence)
        if denied or (found and (_alone(sentence, found, others) or _is_whole(requirement, sentence, found))):
            there = re.compile(CONDITIONS[requirement][1])
            if not any(_claims(other) and there.search(other) for other in others):
                return sentence
    return ""


@functools.cache
def _lacking(requirement: str) -> re.Pattern[str]:
    return re.compile(rf"(?:\b|^){LACKS} (?:{CONDITIONS[requirement][0]})\b{NOT_ITS_SETTINGS}")


def _against(requirement: str, sentence: str, around: Sequence[str], others: Sequence[str]) -> bool:
    for pattern in (NOT_APPLICABLE, ABSENT, POSTPONED, PARTIAL):
        for found in pattern.finditer(sentence):
            guarded = requirement in _GUARDED and pattern is ABSENT
            if (_alone(sentence, found, others) and not guarded) or _is_whole(requirement, sentence, found):
                return True
    refused = REFUSED.search(sentence)
    if refused and _refuses(requirement, sentence, refused, others):
        return True
    off = OFF.search(sentence)
    if off is None or any(ENABLING.search(each) for each in around):
        return False
    alone = _alone(sentence, off, others) and requirement not in _GUARDED
    return alone or _is_whole(requirement, sentence, off)


def _refuses(requirement: str, sentence: str, found: re.Match[str], others: Sequence[str]) -> bool:
    """What a platform does not support is denied; what it does not bring may be brought by others."""
    words = plain(found["object"])
    concept = CONCEPTS.get(requirement)
    named = re.match(rf"(?:{LEAD} )*(?:{concept.pattern})\b(?! \w+ing\b)", words) if concept else None
    whole = named or re.match(rf"(?:{GENERIC}|this|it)\b", words)
    if found["verb"] in (None, "support", "implement"):
        return bool(whole) or _alone(sentence, found, others)
    clause = re.split(r"[,;–—(]", found["object"])[0]
    around = (*others, sentence[: found.start()], found["object"][len(clause) :])
    if any(ELSEWHERE.search(each) and not DENIAL.search(each) for each in around):
        return False
    return bool(whole) or _alone(sentence, found, others)


def _alone(sentence: str, denial: re.Match[str], others: Sequence[str]) -> bool:
    """Whether nothing but this denial is said: no other sentence and no clause of this one claims anything."""
    rest = re.split(r"[,;–—(]| and | so ", sentence[denial.end() :])[1:]
    clauses = [sentence[: denial.start()], *rest]
    return not any(_claims(other) for other in others) and not any(
        CLAIM.search(clause) and not DENIAL.search(clause) for clause in clauses
    )


def _is_whole(requirement: str, sentence: str, denial: re.Match[str]) -> bool:
    """Whether what is denied is the requirement, and not a part or a case of it."""
    subject, rest = sentence[: denial.start()], sentence[denial.end() :]
    words = subject.strip(" ,:;-*•>")
    if not words or re.match(rf"{GENERIC}\b", words):
        return not BEFORE.search(subject)
    if re.fullmatch(rf"(?:this|it|support|implementation|{PLATFORM}|status|note)(?: (?:is|are))?", words):
        return True
    concept = CONCEPTS.get(requirement)
    if concept is None or (SCOPED.match(rest) and denial.re is not POSTPONED):
        return False
    return bool(re.fullmatch(rf"(?:{LEAD} )*{concept.pattern}(?: {TAIL})*(?: (?:is|are))?", plain(words)))


def _contrasted(sentence: str) -> bool:
    """Whether the sentence goes on with a claim: "not bundled, but Kueue is installed by Helm"."""
    found = CONTRAST.search(sentence)
    return bool(found and CLAIM.search(found["rest"]) and not DENIAL.search(found["rest"]))


def _claims(sentence: str) -> bool:
    """Whether a sentence says something of its own; a word with a colon is a heading."""
    return not DENIAL.search(sentence) and not (sentence.endswith(":") and len(sentence.split()) <= HEADING)
