"""Whether a note speaks against its own claim. Pure, and careful: what could be read both ways is let be.

A note is taken sentence by sentence. A sentence counts when it denies or postpones something, and what it denies is the
requirement itself ("this feature", the platform without an object, or the requirement's own words) or nothing else in
the note claims anything. A condition, an exception or a contrast in the same sentence ("if", "but it can be installed")
takes the sentence out: then it tells of a case, not of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from plimsoll.submission.topics import speaks_of

_GENERIC = (
    r"(?:this|the|that|our|such) (?:feature|requirement|capability|functionality|criterion|item|condition|control)"
)
_PLATFORM = (
    r"(?:(?:the|our|this|your) )?(?:[\w-]+ )?(?:platform|product|distribution|offering|service|solution|we|vendor)"
)
_ADVERBS = r"(?:currently |presently |still |yet |natively |at (?:this|the) (?:time|moment) |today |itself |directly )*"
_NOT = r"(?:is|are|was|were)(?: \w+ly)?(?: not|n't)"
_FUTURE = (
    r"(?:in|for|with|by|as part of) (?:a |an |the |our |its )?(?:\w+ )?"
    r"(?:future|next|upcoming|later|coming|subsequent|v?\d+\.\d+|q[1-4]|20\d\d)"
)
_NOT_APPLICABLE = re.compile(
    rf"^(?:\W*)(?:n/?a\b(?!\w)|not applicable\b|not relevant\b|does not apply\b)"
    rf"|\b{_NOT} (?:\w+ )?(?:applicable|relevant)\b|\bis n/a\b"
    rf"|\b(?:{_GENERIC}|this|it) (?:does not|doesn't) {_ADVERBS}apply\b"
    r"|\bnot applicable (?:to|for|on|in|as|because|since|due)\b"
)
_ABSENT = re.compile(
    rf"(?:\b{_NOT} {_ADVERBS}|^(?:\W*)(?:currently )?not (?:yet )?)"
    r"(?:supported|implemented|available|provided|offered|included|present|possible|in place)\b"
    r"|\bunsupported\b|\bunavailable\b"
)
_REFUSED = re.compile(
    rf"\b{_PLATFORM} (?:do not|does not|don't|doesn't|cannot|can't|can not) {_ADVERBS}"
    r"(?P<verb>support|implement|provide|offer|include|ship|have|bundle|come with|expose|cover)\b(?P<object>.*)"
)
_POSTPONED = re.compile(
    r"\b(?:is|are|was|being) (?:currently )?planned\b|^(?:\W*)planned\b|\bplanned (?:for|in|as)\b"
    r"|\b(?:work|development|implementation|support|integration|testing|validation|it|this|certification|evaluation)"
    r" (?:(?:is|are) )?(?:still |currently )?in progress\b|^(?:\W*)(?:work )?in progress\b|\bwork in progress\b"
    r"|\bunder (?:active )?development\b|\bon (?:the|our) roadmap\b|\bcoming soon\b|\broadmap item\b"
    r"|\bto be (?:implemented|supported|delivered|determined|completed)\b"
    rf"|\bwill be (?:supported|implemented|added|available|provided|delivered|released|completed) {_FUTURE}\b"
    rf"|\b(?:targeted|expected|slated|due|aimed) {_FUTURE}\b"
    r"|\b(?:has|have) not (?:yet )?been (?:implemented|completed|released|tested|validated|verified|finished)\b"
    r"|\bnot yet (?:implemented|tested|validated|verified|certified|released|ga|generally available|complete|ready)\b"
)
_OFF = re.compile(r"\b(?:disabled|turned off|switched off|not enabled|not activated|inactive) by default\b")
_PARTIAL = re.compile(r"\b(?:only )?partial(?:ly)? (?:implemented|supported|available|support|implementation)\b")
_CASE = re.compile(
    r"\b(?:if|when|where|while|whereas|until|unless|except|without|instead|otherwise|although|though|however|"
    r"can be|may be|could be|unauthori[sz]ed|unprivileged|reject\w*|den(?:y|ies|ied)|prevent\w*|prior to|before|older|"
    r"earlier|legacy|some|certain|upstream|native|additional|further|enhanced|advanced|extended|dynamic(?! resource)|"
    r"alpha|beta|experimental)\b"
)
_CONTRAST = re.compile(r"\b(?:but|however|yet)\b(?P<rest>.*)")
_CLAIM = re.compile(
    r"\b(?:install\w*|deploy\w*|enabl\w+|tested|verif\w+|validat\w+|demonstrat\w+|supports?|supported|provid\w+|offers?|"
    r"implements?|ships?|runs?|ran|works?|configur\w+|integrat\w+|via|using|uses|use|allows?|includes?|exposes?|"
    r"successfully|available|collects?|scrapes?|scales?|see|shows?|confirm\w*|built)\b"
)
_DENIAL = re.compile(
    r"\b(?:not|no|never|cannot|can't|n't|without|planned|roadmap|progress|unsupported|disabled)\b|n't\b"
)
_ENABLING = re.compile(
    r"\b(?:enabl(?!ed by default)\w+|opt in|opt-in|turn\w* (?:it )?on|activat\w+|switch\w* on|feature ?gates?|flags?|"
    r"install\w*|add-?ons?|configur\w+|users?|customers?|admin\w*|operators? can)\b"
)
_WITHOUT: dict[str, str] = {
    "cluster_autoscaling": r"auto-? ?scal\w+|karpenter|autoscaling mechanism|dynamic nodes?|elastic\w*",
    "pod_autoscaling": r"horizontal ?pod ?autoscal\w+|hpa|pod autoscal\w+",
    "high_performance_networking": r"rdma|infiniband|high[- ]performance \w+|multiple network interfaces|multi-?nic",
}
MANY_WORDS = 4
"""Words of a heading at most."""
_LACKS = (
    r"(?:do not|does not|don't|doesn't|cannot|can't|can not) (?:\w+ ){0,3}?"
    r"(?:provide|include|offer|ship|support|have|use|come with|bundle|implement|need|require)"
    r"|(?:there is|there are|has|have|with|provides?|ships?|includes?|offers?) no|^no|lacks?|without"
)
_CONDITION = re.compile(
    r"\bcondition (?:is|does|has) not (?:been )?(?:met|apply|hold|fulfilled)\b"
    r"|\b(?:requirement|condition) (?:is|does) (?:therefore |thus |hence )?not (?:apply|applicable|relevant)\b"
)


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
        if _tells_a_case(sentence):
            continue
        others = [*said[:place], *said[place + 1 :]]
        alone = not any(_claims(other) for other in others)
        if _against(requirement, sentence, said[max(0, place - 1) : place + 2], alone):
            return sentence
    return ""


def condition_denied(requirement: str, note: str) -> str:
    """The sentence by which a requirement's own condition does not hold, or nothing."""
    lacking = _WITHOUT.get(requirement)
    if lacking is None:
        return ""
    said = sentences(note)
    pattern = re.compile(rf"(?:\b|^)(?:{_LACKS})\b(?: \w+){{0,5}}? (?:\w+-)?(?:{lacking})\b")
    for place, sentence in enumerate(said):
        others = [*said[:place], *said[place + 1 :]]
        denied = pattern.search(sentence) or _CONDITION.search(sentence) or _NOT_APPLICABLE.search(sentence)
        if denied and not _contrasted(sentence) and not re.search(r"\b(?:if|when|unless|instead)\b", sentence):
            theirs = re.compile(lacking)
            if not any(_claims(other) and theirs.search(other) for other in others):
                return sentence
    return ""


def _against(requirement: str, sentence: str, around: list[str], alone: bool) -> bool:
    for pattern in (_NOT_APPLICABLE, _ABSENT, _POSTPONED, _PARTIAL):
        found = pattern.search(sentence)
        if found and (alone or _means_the_whole(requirement, sentence, found)):
            return True
    if found := _REFUSED.search(sentence):
        whole = speaks_of(requirement, found["object"]) or re.match(rf" (?:{_GENERIC}|this|it)\b", found["object"])
        # Most MUSTs ask that something can be installed: what a platform does not bring itself is no contradiction.
        if alone or (whole and found["verb"] in ("support", "implement")):
            return True
    found = _OFF.search(sentence)
    if found is None or any(_ENABLING.search(each) for each in around):
        return False
    # That something dangerous is off by default is what these two are for.
    guarded = requirement in ("secure_accelerator_access", "workload_sandboxing")
    return (alone and not guarded) or _means_the_whole(requirement, sentence, found)


def _means_the_whole(requirement: str, sentence: str, denial: re.Match[str]) -> bool:
    """Whether what stands before a denial is the requirement and not a part or a case of it."""
    subject, rest = sentence[: denial.start()], sentence[denial.end() :]
    if re.search(r"\b(?:for|on|with|in|of|by|to) (?!our\b|the platform\b|this platform\b)", subject):
        return False
    plain = subject.strip(" ,:;-*•>")
    if not plain or re.fullmatch(
        rf"(?:{_GENERIC}|this|it|support|implementation|{_PLATFORM}|status|note)(?: (?:is|are))?", plain
    ):
        return True
    if re.match(rf"{_GENERIC}\b", plain):
        return True
    if re.match(r" (?:to|on|for|with|in|by) (?!our\b|the\b|this\b|these\b|any\b|all\b)", rest):
        return False  # of some hardware, some version
    return speaks_of(requirement, subject)


def _tells_a_case(sentence: str) -> bool:
    return bool(_CASE.search(sentence)) or _contrasted(sentence)


def _contrasted(sentence: str) -> bool:
    """Whether the sentence goes on with a claim: "not bundled, but Kueue is installed by Helm"."""
    found = _CONTRAST.search(sentence)
    return bool(found and _CLAIM.search(found["rest"]) and not _DENIAL.search(found["rest"]))


def _claims(sentence: str) -> bool:
    """Whether a sentence says something of its own; a word with a colon is a heading."""
    return not _DENIAL.search(sentence) and not (sentence.endswith(":") and len(sentence.split()) <= MANY_WORDS)
