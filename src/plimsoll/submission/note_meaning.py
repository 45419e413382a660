"""What a sentence of a note means for its claim, from the roles of its words and not from whole phrases. Pure.

A clause is a denial, an assignment to somebody else, or a claim. A few fields of words decide: what negates, what
provides, what applies, what satisfies, who else may have to do it. Any verb of a field may stand in any form, in the
active or the passive voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from plimsoll.submission.keywords import KEYWORDS, REQUIREMENT_TERMS, normalized_words

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|cannot|without|nowhere|hardly|lacks?|lacking|lacked|omit\w*|exclud\w+|"
    r"absent|missing|devoid|un(?:supported|available|implemented)|in(?:applicable|existent)|nonexistent|irrelevant|moot|"
    r"waive[sd]?|forgo\w*)\b|n't\b"
)
_PROVIDES = re.compile(
    r"\b(?:provid\w+|ship\w*|bundl\w+|includ\w+|offer\w*|deliver\w*|suppl(?:y|ies|ied)|contain\w*|support\w*|"
    r"implement\w*|integrat\w+|packag\w+|featur\w+|equip\w*|come|comes|have|has|exist\w*|present|available|install\w*|"
    r"deploy\w*|expos\w+|part|built|there|in place|enabl\w+|carr(?:y|ies)|lack\w*|omit\w*|exclud\w+|absent|missing|"
    r"devoid|un(?:supported|available|implemented)|nonexistent|inexistent|forgo\w*|without|no)\b"
)
_APPLIES = re.compile(
    r"\b(?:appl(?:y|ies|ied|icable)|relevan\w+|pertain\w*|concern\w*|arise[sn]?|hold|holds|matters?|necessary|needed|"
    r"required|occur\w*|fulfilled|met|triggered|inapplicable|irrelevant|moot|waive[sd]?|true|given)\b"
)
_SATISFIES = re.compile(
    r"\b(?:met|meets?|satisf\w+|fulfil\w*|implemented|complian\w*|compl(?:y|ies)|conform\w*|pass|passes|passed|covered|"
    r"considered|treated|deemed|counts?|regarded|claimed|marked)\b"
)
_REASON = re.compile(r"\b(?:because|since|as|given|due|so|hence|therefore|thus|consequently|owing|considering)\b")
_VACUOUSLY = re.compile(r"\b(?:vacuous\w*|trivial\w*|by definition|by convention)\b")
_CASE = re.compile(r"\b(?:if|when|unless|except|until|although|though|otherwise|but|however|only|where)\b")
_GENERIC = (
    r"(?:requirements?|conditions?|criteri(?:on|a)|clause|item|capability|feature|functionality|test|case|scenario|"
    r"situation|premise|preconditions?|prerequisites?|point|topic|check|it|this|that|here)"
)
_GENERIC_SUBJECT = re.compile(rf"(?:\w+ ){{0,4}}?{_GENERIC}(?: \w+){{0,3}}|")
_KIND = (
    r"(?:scheduler|solution|component|mechanism|implementation|controller|autoscaler|exporter|facility|runtime|sandbox|"
    r"gateway|operator|equivalent|counterpart|support)"
)
_STANDS_FOR_IT = r"(?:one|ones|it|this|that|any|anything|either|them|these|such|none|nothing)"
_ADJECTIVES = (
    r"(?:(?:a|an|any|the|its|own|of|such|kind|sort|native|built|in|integrated|managed|default|dedicated|suitable|"
    r"corresponding|equivalent|for|with|itself|currently|itself|yet|out|box|by) ){0,5}"
)
_ANOTHER_SUBJECT = re.compile(
    r"\b(?:gpus?|nodes?|pods?|jobs?|containers?|workloads?|devices?|accelerators?|that|which|who|users?|customers?|"
    r"tenants?|versions?|region\w*|mig|mps|\w*\d\w*)\b"
)
_WHOLLY = re.compile(
    r"(?:(?:from|of|in|to|with|by|on|for|at) (?:the|our|this|these|its|any|all)\b.*"
    r"|(?:here|today|yet|at all|either)\b.*)?"
)
"""What may follow a denial that is not limited to a case."""
_ALONE = re.compile(
    rf"(?:(?:(?:is|are|was|were|been|currently|yet) ){{0,2}}{_PROVIDES.pattern})? ?"
    r"(?:(?:of|for|on|at|in|to|with|by|as|is|are|here|today|yet|out|either|available|itself)\b.*)?"
)
_PARTY = (
    r"(?:(?:cluster|platform|system|infrastructure|site|end)[- ])?"
    r"(?:operators?|customers?|users?|admin\w*|tenants?|clients?|owners?|integrators?|teams?|partners?|"
    r"third[- ]part(?:y|ies)|vendors?|consumers?|subscribers?|whoever|somebody|someone|others)"
)
_OTHERS = re.compile(rf"\b(?<!gpu )(?<!ray )(?<!network )(?<!prometheus )(?<!the same ){_PARTY}\b")
_ASSIGNED = re.compile(
    r"\b(?:left|leaves?|leaving|up) (?:\w+ ){0,6}?to\b|\bresponsib\w+\b|\bdelegat\w+\b|\bdiscretion\b|\bchoice of\b|"
    r"\b(?:falls?|rests?|lies?|lays?|incumbent) (?:to|on|upon|with)\b|"
    r"\b(?:expected|required|supposed|obliged|free) to\b|"
    r"\b(?:must|should|shall|has to|have to|needs? to|is to|are to)\b|\b(?:bring|choose|select|pick|source|find)s? "
    r"(?:\w+ )?own\b|\b(?:job|task|duty|business|matter|concern|decision) (?:of|for)\b|"
    r"\b(?:handled|provided|supplied|installed|managed|arranged|done|solved|added|selected|chosen) by\b"
)
_SHOWN = re.compile(
    r"\b(?:tested|verif\w+|validat\w+|demonstrat\w+|shown|shows?|confirm\w*|measured|ran|runs?|passed|passes|works?|"
    r"worked|see|observed|success\w*|deployed|uses?|using|via|helm|scales?|scraped?s?|collects?|collected|certified|"
    r"recorded|ships?|provides?|supports?|supported|includes?|enabled|offers?|configured|installs?|preinstalled)\b"
)


DEMANDS_ABSENCE = frozenset({"secure_accelerator_access", "workload_sandboxing"})
"""These requirements demand that something is absent, invisible or closed, so "not available" can be their proof."""


CLAUSE_LIMIT = 400
"""Characters of a clause that are read: nobody writes longer ones, except to keep a reader busy."""


def denies_its_claim(requirement: str, sentences: Sequence[str]) -> str:
    """The first sentence that takes the claim of a requirement back, or an empty string.

    The sentences are in lower case with single spaces. They take it back when the claim holds only because nothing
    asks for it, when they say that it does not apply, or when nothing in the note shows what they deny or leave to
    others.
    """
    is_shown = _is_shown(requirement, sentences)
    for sentence in sentences:
        if _CASE.search(sentence):
            continue
        if _is_vacuous(requirement, sentence) or _does_not_apply(sentence):
            return sentence
        if not is_shown and (_is_absent(requirement, sentence) or _is_assigned(requirement, sentence)):
            return sentence
    return ""


def clauses(sentence: str) -> list[str]:
    """The clauses of a sentence."""
    parts = re.split(r"[,;:()–—.]| - |\b(?:because|since|given that|so that|and|so|hence|therefore|thus)\b", sentence)
    return [clause for part in parts if (clause := part.strip()[:CLAUSE_LIMIT])]


def _is_vacuous(requirement: str, sentence: str) -> bool:
    """Whether the claim holds only because there is nothing to hold it against."""
    claims = [each for each in clauses(sentence) if _SATISFIES.search(each) and not _NEGATION.search(each)]
    if not claims:
        return False
    if any(_VACUOUSLY.search(each) for each in claims):
        return True
    reasons = [each for each in re.split(_REASON, sentence) if _NEGATION.search(each)]
    return bool(_REASON.search(sentence)) and any(
        _does_not_apply(each, anywhere=False) or _is_absent(requirement, each) for each in reasons
    )


def _does_not_apply(sentence: str, *, anywhere: bool = True) -> bool:
    """Whether a clause says of the requirement, or of its condition, that it does not apply.

    With `anywhere` it must say so without a limit: "not applicable to T4" is about other hardware.
    """
    for clause in clauses(sentence):
        words = re.sub(r"n't\b", " not", clause)
        for negation in _NEGATION.finditer(words):
            applies = _APPLIES.search(words, negation.start())
            if applies is None or len(words[negation.end() : applies.start()].split()) > 3:
                continue
            if anywhere and re.search(
                r"\b(?:to|for|on|by|with|in) (?!our\b|the\b|this\b|us\b|here\b)", words[applies.end() :]
            ):
                continue
            subject = normalized_words(words[: negation.start()])
            if subject and _GENERIC_SUBJECT.fullmatch(subject) and not _ANOTHER_SUBJECT.search(subject[:-5]):
                return True
    return False


def _is_absent(requirement: str, sentence: str) -> bool:
    """Whether a clause says that what the requirement asks for is not there."""
    if requirement in DEMANDS_ABSENCE:
        return False
    terms = REQUIREMENT_TERMS.get(requirement)
    whole_thing = r"(?:requirement|feature|capability|functionality|criterion)"
    named = rf"(?:{terms.pattern if terms else _KIND}|{_KIND}|{whole_thing})"
    whole = re.compile(
        rf"{_ADJECTIVES}(?:{named}|{_STANDS_FOR_IT})(?: {_KIND})?(?: (?:is|are|was|were|does|do|has))?\b"
    )
    for clause in clauses(sentence):
        words = normalized_words(re.sub(r"n't\b", " not", clause))
        for negation in _NEGATION.finditer(words):
            provides = _PROVIDES.search(words, negation.start())
            if provides is None or len(words[negation.end() : provides.start()].split()) > 3:
                continue
            subject, objects = words[: negation.start()].strip(), words[provides.end() :].strip()
            if _WHOLLY.fullmatch(objects) and (whole.fullmatch(subject) or _is_none(subject, negation[0])):
                return True
            found = whole.match(objects)
            if found and _ALONE.fullmatch(objects[found.end() :].strip()) and not _ANOTHER_SUBJECT.search(subject):
                return True
    return False


def _is_none(subject: str, negation: str) -> bool:
    return not subject and negation in ("none", "nothing")


def _is_assigned(requirement: str, sentence: str) -> bool:
    """Whether a sentence leaves the requirement to somebody else, without naming what they would take."""
    if not _OTHERS.search(sentence) or _names_a_product(requirement, sentence):
        return False
    terms = REQUIREMENT_TERMS.get(requirement)
    named = re.compile(rf"\b(?:{terms.pattern if terms else _KIND}|{_KIND})\b")
    for clause in clauses(sentence):
        if (found := _ASSIGNED.search(clause)) is None:
            continue
        before = normalized_words(clause[: found.start()])
        if named.search(normalized_words(clause)) or not before or re.search(rf"\b{_GENERIC}\b", before):
            return True
    return False


def _names_a_product(requirement: str, text: str) -> bool:
    keywords, terms = KEYWORDS.get(requirement), REQUIREMENT_TERMS.get(requirement)
    words = normalized_words(text)
    rest = terms.sub(" ", words) if terms else words
    return keywords is not None and bool(keywords.distinctive.search(rest))


def _is_shown(requirement: str, sentences: Sequence[str]) -> bool:
    """Whether any clause says, without a denial, that what the requirement asks for is there or was tried."""
    return any(
        (_SHOWN.search(clause) or _names_a_product(requirement, clause)) and not _is_taken_back(requirement, clause)
        for clause in _all_clauses(sentences)
    )


def _is_taken_back(requirement: str, clause: str) -> bool:
    return bool(_NEGATION.search(clause)) or _is_assigned(requirement, clause)


def _all_clauses(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from clauses(sentence)
