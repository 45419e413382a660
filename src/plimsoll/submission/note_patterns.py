"""Regular expressions for `note_analysis`. They match sentences in lower case with single spaces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

THE_REQUIREMENT = (
    r"(?:this|the|that|our|such) (?:feature|requirement|capability|functionality|criterion|item|condition|control)"
)
PLATFORM = (
    r"(?:(?:the|our|this|your) )?(?:[\w-]+ )?(?:platform|product|distribution|offering|service|solution|we|vendor)"
)
_ADVERBS = r"(?:currently |presently |still |yet |natively |at (?:this|the) (?:time|moment) |today |itself |directly )*"
# The lookbehinds exclude relative clauses: "nodes that are not available are replaced" denies nothing.
_NOT = r"(?<!that )(?<!which )(?:is|are|was|were)(?: \w+ly)?(?: not|n't)"
_FUTURE = (
    r"(?:in|for|with|by|as part of) (?:a |an |the |our |its )?(?:\w+ )?"
    r"(?:future|next|upcoming|later|coming|subsequent|v?\d+\.\d+|q[1-4]|20\d\d)"
)
_WORK = r"(?:work|development|implementation|support|integration|testing|validation|verification|certification|review)"

NOT_APPLICABLE = re.compile(
    r"^\W*(?:n/a\b|na\W*$|not applicable\b|not relevant\b|does not apply\b|out of scope\b)"
    rf"|\b{_NOT} (?:\w+ )?(?:applicable|relevant)\b|\bis n/a\b|\b(?:is|are) out of scope\b"
    rf"|\b(?:{THE_REQUIREMENT}|this|it) (?:does not|doesn't) {_ADVERBS}apply\b"
    r"|\bnot applicable (?:to|for|on|in|as|because|since|due)\b"
)
ABSENT = re.compile(
    rf"(?:\b{_NOT} {_ADVERBS}|^\W*(?:currently )?not (?:yet )?)"
    r"(?:supported|implemented|available|provided|offered|included|present|in place)\b"
    r"|\b(?:is|are|remains?) (?:currently |still )?(?:unsupported|unavailable|missing)\b"
    r"|^\W*(?:currently )?unsupported\W*$"
)
NOT_PROVIDED = re.compile(
    rf"\b{PLATFORM} (?:(?:do not|does not|don't|doesn't|cannot|can't|can not) {_ADVERBS}"
    r"(?P<verb>support|implement|provide|offer|include|ship|have|bundle|come with|expose|cover)"
    r"|(?:have|has|had)(?: not|n't) (?:yet )?(?P<done>tested|validated|verified|implemented|evaluated))\b(?P<object>.*)"
)
POSTPONED = re.compile(
    r"\b(?:is|are|was|being) (?:currently )?planned\b|^\W*planned\b|\bplanned (?:for|in|as)\b"
    rf"|\b(?:{_WORK}|it|this) (?:(?:is|are) )?(?:still |currently )?(?:in progress|ongoing)\b"
    rf"|\b{_WORK} (?:is |are )?pending\b|^\W*(?:work )?in progress\b|\bwork in progress\b"
    rf"|\bpending (?:{_WORK}|approval|release|delivery)\b"
    r"|\bunder (?:active )?development\b|\bon (?:the|our) roadmap\b|\bcoming soon\b|\broadmap item\b"
    r"|\bto be (?:implemented|supported|delivered|determined|completed|provided|added|tested)\b"
    rf"|\bwill be (?:supported|implemented|added|available|provided|delivered|released|completed) (?:soon|{_FUTURE})\b"
    rf"|\b(?:targeted|expected|slated|due|aimed) {_FUTURE}\b"
    r"|\b(?:has|have) not (?:yet )?been (?:implemented|completed|released|tested|validated|verified|finished)\b"
    r"|\bnot yet (?:implemented|tested|validated|verified|certified|released|ga|generally available|complete|ready)\b"
    r"|\b(?:is|are|was|were) (?:not tested|untested|unverified)\b"
)
PARTIAL = re.compile(r"\b(?:only )?partial(?:ly)? (?:implemented|supported|support|implementation)\b")
OFF_BY_DEFAULT = re.compile(r"\b(?:disabled|turned off|switched off|not enabled|not activated|inactive) by default\b")
ENABLING = re.compile(
    r"\b(?:enabl(?!ed by default)\w+|opt in|opt-in|turn\w* (?:it )?on|activat\w+|switch\w* on|feature ?gates?|flags?|"
    r"install\w*|add-?ons?|configur\w+|users?|customers?|admin\w*|operators? can)\b"
)

# Words that limit a sentence to a case, a restriction or a part of the requirement.
QUALIFIER = re.compile(
    r"\b(?:if|when|where|while|whereas|until|unless|except|without|instead|otherwise|although|though|however|"
    r"can be|may be|could be|unauthori[sz]ed|unprivileged|reject\w*|den(?:y|ies|ied)|prevent\w*|prior to|before|older|"
    r"earlier|legacy|some|certain|upstream|native|additional|further|enhanced|advanced|extended|dynamic(?! resource)|"
    r"alpha|beta|experimental|partial (?:placement|gangs?|start\w*|scheduling|jobs?))\b"
)
CONTRAST = re.compile(r"\b(?:but|however)\b(?P<rest>.*)")
CLAIM = re.compile(
    r"\b(?:install\w*|deploy\w*|enabl\w+|tested|verif\w+|validat\w+|demonstrat\w+|supports|supported|provid\w+|offers?|"
    r"implements?|ships?|runs?|ran|works?|configur\w+|integrat\w+|via|using|uses|use|allows?|includes?|exposes?|"
    r"successfully|available|collects?|scrapes?|scales?|see|shows?|confirm\w*|built)\b"
)
DENIAL = re.compile(
    r"\b(?:not|no|never|cannot|can't|without|planned|roadmap|progress|pending|unsupported|disabled|manual\w*)\b|n't\b"
)
# A component that the platform does not ship can come from another source. Most MUSTs accept that.
OTHER_SOURCE = re.compile(
    r"\b(?:install\w*|deploy\w*|helm|add-?ons?|users?|customers?|tenants?|bring|marketplace|catalog\w*|operator ?hub|"
    r"third[- ]party|open[- ]source|upstream|community|any)\b"
)
# What follows or precedes the denial limits it: certain hardware, a certain version, another party.
LIMITED_SCOPE = re.compile(r" (?:to|on|for|with|in|by) (?!our\b|the\b|this\b|these\b|any\b|all\b)")
LIMITED_SUBJECT = re.compile(r"\b(?:for|on|with|in|of|by|to) (?!our\b|the platform\b|this platform\b|the product\b)")
# Words that can surround the requirement's name in the subject of a denial.
LEADING_WORDS = r"(?:note|note that|currently|at present|the|our|a|an|please|kubernetes|however|also)"
TRAILING_WORDS = (
    r"(?:support|feature|features|solution|api|apis|capability|functionality|implementation|mechanism|itself|"
    r"(?:on|in|for|of|by) (?:our|the|this) (?:platform|product|distribution|release|version|service))"
)

# For each requirement with a condition: words for the component that the condition needs, and words that show that
# an equivalent of it is there.
CONDITIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cluster_autoscaling": (
            r"(?:cluster |node )?(?:auto-? ?scal(?:er|ers|ing)|elasticity)(?: mechanism)?|karpenter|dynamic nodes?",
            r"auto-? ?scal\w+|karpenter|scal\w+|elastic\w*|node pools?",
        ),
        "pod_autoscaling": (
            r"horizontal ?pod ?autoscal(?:er|ers|ing)|hpa|pod autoscal(?:er|ing)",
            r"horizontal ?pod ?autoscal\w+|hpa|keda|scal\w+",
        ),
        "high_performance_networking": (
            r"rdma|infiniband|high[- ]performance \w+|multiple network interfaces|multi-?nic",
            r"rdma|infiniband|roce|high[- ]performance|multi-?nic|sr-?iov",
        ),
    }
)
_ADJECTIVES = (
    r"(?:a|an|any|the|its|own|native|built-in|built in|integrated|managed|default|upstream|equivalent|dedicated|such|"
    r"kubernetes|automatic|support for|\w+-level)"
)
LACKING = (
    r"(?:(?:do not|does not|don't|doesn't|cannot|can't|can not) (?:\w+ly )?"
    r"(?:provide|include|offer|ship|support|have|use|come with|bundle|implement)"
    r"|(?:there is|there are|has|have|with|provides?|ships?|includes?|offers?) no|^no|lacks?|without)"
    rf"(?: {_ADJECTIVES}){{0,4}}"
)
NOT_JUST_SETTINGS = r"(?! (?:config\w*|settings?|changes?|restarts?|errors?|flags?|interventions?|downtime|involve\w+))"
CONDITION_FAILS = re.compile(
    r"\bcondition (?:is|does|has) not (?:been )?(?:met|apply|hold|fulfilled)\b"
    r"|\b(?:requirement|condition) (?:is|does) (?:therefore |thus |hence )?not (?:apply|applicable|relevant)\b"
)
