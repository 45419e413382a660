"""Rules of the evidence: that there is some, that it is there, and that it is about its requirement."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST
from plimsoll.submission.artifacts import kind_of
from plimsoll.submission.expected import version_of
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.links import comparable, host, is_web, split, submission, words_of
from plimsoll.submission.projects import PROJECTS, UPSTREAM, VENDORS
from plimsoll.submission.questionnaire import Entry, Evidence
from plimsoll.submission.rules.context import Context
from plimsoll.submission.topics import TOPICS, is_near, others_spoken_of, related, speaks_of

MANY = 4
"""Requirements that may cite one page without a fragment before a reader is asked to search it."""
_WHOLE = re.compile(r"\b(?:conforman\w+|overview|readme|evidence|report|index|introduction|ai ready)\b")
_NO_EVIDENCE = re.compile(
    r"\b(?:pricing|billing|careers|privacy policy|terms of (?:service|use)|contact us|sign ?in|log ?in|sign ?up"
    r"|wikipedia|press|newsroom|persistent volumes?|storage ?class(?:es)?|storage|backups?|snapshots?|dns|cert manager"
    r"|windows)\b"
)


def no_evidence(context: Context) -> Iterator[Hit]:
    """The validator lets an empty list pass; the programme's instructions do not."""
    for entry in context.entries:
        if entry.claimed and not entry.links and not _unreadable(context, entry):
            partly = context.level(entry) != MUST and entry.status.startswith("Partially")
            why = f"{entry.name} is said to be {entry.status} and nothing is cited"
            fix = "cite a public page or a file that shows it on this platform"
            yield context.at(entry, "evidence", why, fix, Severity.NOTE if partly else None)


def _unreadable(context: Context, entry: Entry) -> bool:
    """Whether wrong-type has already told of the evidence."""
    section = context.questionnaire.root["spec"][entry.category][entry.path[-1]].get("evidence")
    if not isinstance(section, list):
        return section is not None
    return any(isinstance(each, dict | list) for each in section)


def blank_evidence(context: Context) -> Iterator[Hit]:
    """An empty item shows nothing."""
    for entry in context.entries:
        for each in entry.evidence:
            if not each.text:
                yield context.at_path(each.path, "an empty item shows nothing", "remove it", entry)


def evidence_file(context: Context) -> Iterator[Hit]:
    """What is no web address is a file beside the questionnaire, and must be there."""
    absent: list[tuple[Entry, Evidence]] = []
    for entry, each in _files(context):
        if context.surroundings.cited[each.text].problem in ("missing", "empty"):
            absent.append((entry, each))
    if not context.questionnaire.placed and absent:
        entry, each = absent[0]
        plain = [pair for pair in absent if not _meant(pair[1].text)]
        if plain:
            names = ", ".join(sorted({pair[1].text for pair in plain})[:5])
            why = f"cited files are not beside the questionnaire: {names}"
            fix = "lint it where it is filed: vX.Y/PRODUCT/PRODUCT.yaml with its files"
            yield context.at_path(plain[0][1].path, why, fix, plain[0][0], Severity.WARNING)
        absent = [pair for pair in absent if _meant(pair[1].text)]
    for entry, each in absent:
        shown = each.text.strip()
        why = (
            f"'{_short(shown)}' is no web address, and no such file is there" if shown else "the item holds spaces only"
        )
        yield context.at_path(each.path, why, _meant(shown) or "add the file beside the questionnaire", entry)


def _meant(text: str) -> str:
    """What to write in place of a text that cannot be a file's name; nothing when it can be one."""
    if found := re.search(r"https?://[^\s)>\]]+", text):
        return f"write the address alone: {found[0]}"
    if re.match(r"(?:www\.)?[\w-]+(?:\.[\w-]+)*\.(?:com|io|dev|org|net|cloud|ai)(?:/|$)", text):
        return f"did you mean https://{text}?"
    if len(text.split()) > 3:
        return "cite an address or a file, and put words into the notes"
    return ""


def evidence_outside(context: Context) -> Iterator[Hit]:
    """Evidence lives in the product's own directory."""
    for entry, each in _files(context):
        if context.surroundings.cited[each.text].problem == "outside":
            why = f"'{_short(each.text)}' leads out of the product's directory"
            yield context.at_path(each.path, why, "put the file beside the questionnaire", entry)


def evidence_other_submission(context: Context) -> Iterator[Hit]:
    """A link into the programme's repository leads to this very submission."""
    questionnaire, version = context.questionnaire, version_of(context.questionnaire)
    for entry in context.entries:
        for each in entry.links:
            found = submission(each.text)
            if found is None:
                continue
            owner, linked, product = found
            fix = "put the file into this submission and cite it by its name"
            if owner.lower() != "cncf":
                yield context.at_path(each.path, f"the link leads to a fork, of {owner}, which may go away", fix, entry)
            elif linked and version and linked != version:
                yield context.at_path(each.path, f"the link leads to the submission for v{linked}", fix, entry)
            elif product and questionnaire.product and product != questionnaire.product:
                yield context.at_path(each.path, f"the link leads to another submission, '{product}'", fix, entry)


def evidence_reused(context: Context) -> Iterator[Hit]:
    """One page seldom shows two unrelated things."""
    groups: dict[frozenset[str], list[Entry]] = {}
    for entry in context.entries:
        cited = frozenset(comparable(each.text) for each in _own(entry))
        if entry.claimed and cited:
            groups.setdefault(cited, []).append(entry)
    claimed = sum(len(group) for group in groups.values())
    told: set[str] = set()
    for cited, group in groups.items():
        unrelated = next((each for each in group[1:] if not related(group[0].id, each.id)), None)
        if unrelated is None or group[0].id == unrelated.id:
            continue
        told |= cited
        line = context.questionnaire.place(*group[0].path).line
        why = f"{unrelated.name} cites exactly what {group[0].name} in line {line} cites"
        if len(group) > 2:
            why += f", and so do {len(group) - 2} more"
        # A page on the whole of conformance is cited for all of it, and rightly so.
        whole = len(group) * 2 >= claimed > MANY or all(_WHOLE.search(words_of(link)) for link in cited)
        fix = "say where on the page, with #fragment, or cite what shows this requirement"
        yield context.at(unrelated, "evidence", why, fix, Severity.NOTE if whole else None)
    yield from _often(context, told)


def _often(context: Context, told: set[str]) -> Iterator[Hit]:
    uses: dict[str, list[tuple[Entry, Evidence]]] = {}
    for entry in context.entries:
        for each in _own(entry) if entry.claimed else ():
            uses.setdefault(comparable(each.text), []).append((entry, each))
    for link, pairs in uses.items():
        names = {entry.id for entry, _ in pairs}
        if "#" not in link and link not in told and len(names) >= MANY:
            entry, each = pairs[-1]
            why = f"this page is cited for {len(names)} requirements"
            yield context.at_path(each.path, why, "say where on the page, with #fragment", entry, Severity.NOTE)


def evidence_off_topic(context: Context) -> Iterator[Hit]:
    """A page whose address speaks of something else, where nothing else that is cited speaks of the requirement."""
    for entry in context.entries:
        own = _own(entry)
        if not entry.claimed or entry.id not in TOPICS or any(is_near(entry.id, words_of(each.text)) for each in own):
            continue
        for each in own:
            # A host is named after its owner: of its words only the near ones count.
            words = words_of(each.text, host_too=host(each.text) in UPSTREAM)
            others = [name for name in others_spoken_of(entry.id, words) if not speaks_of(name, entry.notes)]
            if others and not _WHOLE.search(words):
                why = f"the address speaks of {others[0]}, and nothing cited of {entry.id}"
            elif (found := _NO_EVIDENCE.search(words)) and found[0] not in entry.notes.lower():
                why = f"a page on '{found[0]}' shows nothing of {entry.id}"
            else:
                continue
            yield context.at_path(each.path, why, f"cite what shows {entry.id}", entry)


def evidence_too_broad(context: Context) -> Iterator[Hit]:
    """A home page leaves the reviewer to search; another project's documentation says nothing of this platform."""
    vendor = context.questionnaire.said("vendorName").lower()
    homes = {comparable(context.questionnaire.said(field)) for field in ("websiteUrl", "documentationUrl")} - {""}
    for entry in context.entries:
        if not entry.claimed or context.level(entry) != MUST or not entry.links:
            continue
        if all(is_web(each.text) and (comparable(each.text) in homes or _is_home(each.text)) for each in entry.links):
            why = f"{entry.name} cites only a home page"
            yield context.at(entry, "evidence", why, "link to the page that shows the requirement")
        elif all(is_web(each.text) and _is_anothers(each.text, vendor) for each in entry.links):
            why = f"{entry.name} cites only other projects' documentation"
            yield context.at(entry, "evidence", why, "add what shows that it works on this platform")


def _is_home(text: str) -> bool:
    parts = split(text)
    return parts is not None and parts.path.strip("/") == "" and not parts.query and not parts.fragment


def _is_anothers(text: str, vendor: str) -> bool:
    parts, name = split(text), host(text)
    owner = parts.path.split("/")[1].lower() if parts and "/" in parts.path else ""
    if name in VENDORS:
        return VENDORS[name] not in vendor
    return name in UPSTREAM or (name == "github.com" and owner in PROJECTS)


def _own(entry: Entry) -> list[Evidence]:
    """Evidence but for the official suite's artefacts, which are meant to be cited by several requirements."""
    return [each for each in entry.links if is_web(each.text) or not kind_of(each.text.partition("#")[0])]


def _files(context: Context) -> Iterator[tuple[Entry, Evidence]]:
    for entry in context.entries:
        for each in entry.evidence:
            # A space before an address makes a file of it for the validator; url-malformed tells of that.
            if each.text in context.surroundings.cited and not is_web(each.text.strip()):
                yield entry, each


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
