"""Rules for evidence: it must exist, be in reach, and concern its requirement."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST
from plimsoll.submission.artifacts import artifact_kind
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.keywords import KEYWORDS, could_concern, may_share_evidence, mentions, unrelated_mentions
from plimsoll.submission.questionnaire import EvidenceItem, QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.url_owners import PROJECT_ACCOUNTS, PROJECT_SITES, VENDOR_SITES
from plimsoll.submission.urls import host_of, is_web_url, linked_submission, normalized_url, parse_url, url_words
from plimsoll.submission.version_requirements import effective_version

MANY = 4
"""Requirements that cite one page without a fragment, from which on the page must be searched."""
_GENERAL_PAGE = re.compile(r"\b(?:conforman\w+|overview|readme|evidence|report|index|introduction|ai ready)\b")
_UNSUITABLE_PAGE = re.compile(
    r"\b(?:pricing|billing|careers|privacy policy|terms of (?:service|use)|contact us|sign ?in|log ?in|sign ?up"
    r"|wikipedia|press|newsroom|persistent volumes?|storage ?class(?:es)?|storage|backups?|snapshots?|dns|cert manager"
    r"|windows)\b"
)
_Cited = tuple[QuestionnaireEntry, EvidenceItem]


def no_evidence(context: RuleContext) -> Iterator[RuleMatch]:
    """A claimed requirement must cite evidence; a MUST with neither evidence nor notes says nothing at all."""
    for entry in context.entries:
        if entry.is_claimed and not entry.citations and not entry.has_malformed_evidence:
            is_must = context.level(entry) == MUST
            why = f"{entry.name} is {entry.status}, but cites no evidence"
            severity = None
            if is_must and not entry.notes.strip():
                why += " and has no notes"
                severity = Severity.ERROR
            elif not is_must and entry.status.startswith("Partially"):
                severity = Severity.NOTE
            fix = "cite a public page or a file that shows it on this platform"
            yield context.at_field(entry, "evidence", why, fix, severity)


def blank_evidence(context: RuleContext) -> Iterator[RuleMatch]:
    """An evidence item must not be empty."""
    for entry in context.entries:
        for item in entry.evidence:
            if not item.text:
                yield context.at_path(item.path, "the evidence item is empty", "remove it", entry)


def evidence_file(context: RuleContext) -> Iterator[RuleMatch]:
    """Evidence that is not a URL must be a file beside the questionnaire."""
    missing = [
        (entry, item)
        for entry, item in _cited_files(context)
        if context.files.cited[item.text].problem in ("missing", "empty")
    ]
    if not context.questionnaire.directory_version:
        # Outside vX.Y/PRODUCT a draft may lie apart from its files: one warning for all of them.
        plain = [(entry, item) for entry, item in missing if not _likely_meaning(item.text)]
        if plain:
            names = ", ".join(sorted({item.text for _, item in plain})[:5])
            why = f"cited files are not beside the questionnaire: {names}"
            fix = "lint the questionnaire at vX.Y/PRODUCT/PRODUCT.yaml, together with its files"
            yield context.at_path(plain[0][1].path, why, fix, plain[0][0], Severity.WARNING)
        missing = [(entry, item) for entry, item in missing if _likely_meaning(item.text)]
    for entry, item in missing:
        if text := item.text.strip():
            why = f"'{_short(text)}' is neither a URL nor an existing file"
            fix = _likely_meaning(text) or "add the file beside the questionnaire"
            yield context.at_path(item.path, why, fix, entry)
        else:
            why = "the evidence item has only spaces"
            yield context.at_path(item.path, why, "cite a URL or a file, or remove the item", entry)


def _likely_meaning(text: str) -> str:
    """What to do about a text that is hardly a file name; an empty string when it can be one."""
    if found := re.search(r"https?://[^\s)>\]]+", text):
        return f"write only the URL: {found[0]}"
    if re.match(r"(?:www\.)?[\w-]+(?:\.[\w-]+)*\.(?:com|io|dev|org|net|cloud|ai)(?:/|$)", text):
        return f"did you mean https://{text}?"
    if len(text.split()) > 3:
        return "cite a URL or a file, and move the words to the notes"
    return ""


def evidence_outside(context: RuleContext) -> Iterator[RuleMatch]:
    """Evidence files must be in the product's own directory."""
    for entry, item in _cited_files(context):
        if context.files.cited[item.text].problem == "outside":
            why = f"'{_short(item.text)}' is outside the product's directory"
            yield context.at_path(item.path, why, "put the file beside the questionnaire", entry)


def evidence_other_submission(context: RuleContext) -> Iterator[RuleMatch]:
    """A link into the programme's repository must lead to this submission."""
    version, own_product = effective_version(context.questionnaire), context.questionnaire.product_directory
    fix = "put the file into this submission and cite it by its name"
    for entry in context.entries:
        for item in entry.citations:
            linked = linked_submission(item.text)
            if linked is None:
                continue
            if linked.owner.lower() != "cncf":
                why = f"the link leads to the fork of {linked.owner}, which can disappear"
                yield context.at_path(item.path, why, fix, entry)
            elif linked.version and version and linked.version != version:
                why = f"the link leads to the submission for v{linked.version}"
                yield context.at_path(item.path, why, fix, entry)
            elif linked.product and own_product and linked.product != own_product:
                why = f"the link leads to the submission of another product, '{linked.product}'"
                yield context.at_path(item.path, why, fix, entry)


def evidence_reused(context: RuleContext) -> Iterator[RuleMatch]:
    """Unrelated requirements should not cite exactly the same evidence."""
    groups: dict[frozenset[str], list[QuestionnaireEntry]] = {}
    for entry in context.entries:
        cited = frozenset(normalized_url(item.text) for item in _without_artifacts(entry))
        if entry.is_claimed and cited:
            groups.setdefault(cited, []).append(entry)
    claimed = sum(len(group) for group in groups.values())
    reported: set[str] = set()
    for cited, group in groups.items():
        first = group[0]
        unrelated = next((each for each in group[1:] if not may_share_evidence(first.id, each.id)), None)
        if unrelated is None:
            continue
        reported |= cited
        line = context.questionnaire.place(*first.path).line
        why = f"{unrelated.name} cites exactly the same evidence as {first.name} in line {line}"
        if len(group) > 2:
            why += f", and so do {len(group) - 2} more"
        # One page about the conformance as a whole may well be cited for all requirements.
        is_general = len(group) * 2 >= claimed > MANY or all(_GENERAL_PAGE.search(url_words(link)) for link in cited)
        fix = "name the part of the page with #fragment, or cite evidence for this requirement"
        yield context.at_field(unrelated, "evidence", why, fix, Severity.NOTE if is_general else None)
    yield from _cited_often(context, reported)


def _cited_often(context: RuleContext, reported: set[str]) -> Iterator[RuleMatch]:
    """Pages without a fragment that many requirements cite, apart from those that are already reported."""
    uses: dict[str, list[_Cited]] = {}
    for entry in context.entries:
        for item in _without_artifacts(entry) if entry.is_claimed else ():
            uses.setdefault(normalized_url(item.text), []).append((entry, item))
    for link, cited in uses.items():
        count = len({entry.id for entry, _ in cited})
        if "#" not in link and link not in reported and count >= MANY:
            entry, item = cited[-1]
            why = f"{count} requirements cite this page as a whole"
            yield context.at_path(item.path, why, "name the part of the page with #fragment", entry, Severity.NOTE)


def evidence_off_topic(context: RuleContext) -> Iterator[RuleMatch]:
    """At least one cited URL should concern the requirement when another one is about something else."""
    for entry in context.entries:
        cited = _without_artifacts(entry)
        if not entry.is_claimed or entry.id not in KEYWORDS:
            continue
        if any(could_concern(entry.id, url_words(item.text)) for item in cited):
            continue
        for item in cited:
            if why := _off_topic(entry, item):
                yield context.at_path(item.path, why, f"cite a page that shows {entry.id}", entry)


def _off_topic(entry: QuestionnaireEntry, item: EvidenceItem) -> str:
    """Why a cited page does not concern its requirement, or an empty string."""
    # A host name tells the owner, not the topic; only the site of a project tells both.
    words = url_words(item.text, include_host=host_of(item.text) in PROJECT_SITES)
    others = [name for name in unrelated_mentions(entry.id, words) if not mentions(name, entry.notes)]
    if others and not _GENERAL_PAGE.search(words):
        return f"the URL is about {others[0]}, and no other evidence concerns {entry.id}"
    found = _UNSUITABLE_PAGE.search(words)
    if found and found[0] not in entry.notes.lower():
        return f"a page about '{found[0]}' does not show {entry.id}"
    return ""


def evidence_too_broad(context: RuleContext) -> Iterator[RuleMatch]:
    """A MUST should cite more than a home page and more than other projects' documentation."""
    text = context.questionnaire.metadata_text
    vendor = text("vendorName").lower()
    homes = {normalized_url(text(field)) for field in ("websiteUrl", "documentationUrl")} - {""}
    for entry in context.entries:
        if not entry.is_claimed or context.level(entry) != MUST or not entry.citations:
            continue
        links = [item.text for item in entry.citations]
        if not all(is_web_url(link) for link in links):
            continue
        if all(normalized_url(link) in homes or _is_home_page(link) for link in links):
            why = f"{entry.name} cites only a home page"
            yield context.at_field(entry, "evidence", why, "link to the page that shows the requirement")
        elif all(_is_of_another_project(link, vendor) for link in links):
            why = f"{entry.name} cites only the documentation of other projects"
            yield context.at_field(entry, "evidence", why, "add evidence that it works on this platform")


def _is_home_page(url: str) -> bool:
    parts = parse_url(url)
    return parts is not None and parts.path.strip("/") == "" and not parts.query and not parts.fragment


def _is_of_another_project(url: str, vendor: str) -> bool:
    parts, host = parse_url(url), host_of(url)
    account = parts.path.split("/")[1].lower() if parts and "/" in parts.path else ""
    if host in VENDOR_SITES:
        return VENDOR_SITES[host] not in vendor
    return host in PROJECT_SITES or (host == "github.com" and account in PROJECT_ACCOUNTS)


def _without_artifacts(entry: QuestionnaireEntry) -> list[EvidenceItem]:
    """Citations without the official suite's artefacts, which several requirements cite on purpose."""
    return [item for item in entry.citations if is_web_url(item.text) or not artifact_kind(item.text.partition("#")[0])]


def _cited_files(context: RuleContext) -> Iterator[_Cited]:
    for entry in context.entries:
        for item in entry.evidence:
            # With a space before a URL the validator takes it for a file; url-malformed reports that.
            if item.text in context.files.cited and not is_web_url(item.text.strip()):
                yield entry, item


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
