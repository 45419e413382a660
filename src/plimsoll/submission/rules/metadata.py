"""Rules for the metadata: who submits which product for which version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import VERSIONS
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import METADATA_FIELDS, OPTIONAL_FIELDS
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.urls import is_example, is_web_url
from plimsoll.submission.version_requirements import effective_version

_CONFORMANCE = re.compile(r"https://github\.com/cncf/k8s-conformance/tree/(?:master|main)/v(\d+\.\d+)/[^/]+/?")
_EMAIL = re.compile(r"[^\s@<>,;:]+@[^\s@<>,;:]+\.[^\s@<>,;:.]{2,}")
_VERSION = re.compile(r"v?\d+\.\d+(?:\.\d+)?(?:[-+][\w.+-]+)?")
# Names from the programme's own example of a complete questionnaire.
_EXAMPLE_NAMES = re.compile(r"(?i)turbo[ -]?encabulator|yoyodyne")
_UNFINISHED = re.compile(r"\b(?:TODO|TBD|FIXME|XXX)\b|(?i:lorem ipsum|\bto be filled|\bfill me in\b|\bchangeme\b)")
_BLANKS = re.compile(
    r"<[a-zA-Z][\w -]*>|\$\{?dir\b\}?|\[(?:insert|your|platform|vendor|product)\b[^\]]*\]", re.IGNORECASE
)
VECTOR_FORMATS = (".svg", ".eps", ".ai")


def missing_field(context: RuleContext) -> Iterator[RuleMatch]:
    """Every metadata field except repoUrl must have a value."""
    if not isinstance(context.questionnaire.root.get("metadata"), dict):
        return
    for field in METADATA_FIELDS:
        if field in OPTIONAL_FIELDS:
            continue
        value = context.questionnaire.metadata.get(field)
        if value is None:
            fix = f"add {field}"
            if field == "k8sConformanceUrl":
                fix += (
                    ": https://github.com/cncf/k8s-conformance/tree/master/vX.Y/PRODUCT; "
                    "most official templates leave it out"
                )
            why = f"'{field}' is missing, but the official validator requires it"
            yield context.at_metadata(field, why, fix)
        elif value == "":
            yield context.at_metadata(field, f"'{field}' is empty", "fill it in")
        elif isinstance(value, str) and not value.strip():
            yield context.at_metadata(field, f"'{field}' has only spaces", "fill it in", Severity.WARNING)


def placeholder(context: RuleContext) -> Iterator[RuleMatch]:
    """No placeholder or example of a template may remain."""
    for field in METADATA_FIELDS:
        value = context.questionnaire.metadata_text(field)
        if value.startswith("[") and value.endswith("]"):
            why = f"'{field}' still has the template's placeholder {value}"
            yield context.at_metadata(field, why, "fill it in")
        elif example := _placeholder_in(value) or (value if _is_example_url(value) else ""):
            why = f"'{example}' in '{field}' is an example"
            yield context.at_metadata(field, why, "write your own value", Severity.WARNING)
    for entry in context.entries:
        for item in entry.citations:
            if found := _placeholder_in(item.text):
                why = f"'{found}' is a placeholder"
            elif _is_example_url(item.text):
                why = "the URL is an example"
            else:
                continue
            yield context.at_path(item.path, why, "cite evidence for the requirement", entry, Severity.WARNING)
        if entry.status and (unfinished := _EXAMPLE_NAMES.search(entry.notes) or _UNFINISHED.search(entry.notes)):
            why = f"the notes still have the placeholder '{unfinished[0]}'"
            yield context.at_field(entry, "notes", why, "complete the notes", Severity.WARNING)


def _placeholder_in(text: str) -> str:
    found = _EXAMPLE_NAMES.search(text) or _UNFINISHED.search(text) or _BLANKS.search(text)
    return found[0] if found else ""


def _is_example_url(text: str) -> bool:
    return is_web_url(text) and is_example(text)


def bad_email(context: RuleContext) -> Iterator[RuleMatch]:
    """The contact must be an e-mail address."""
    value = context.questionnaire.metadata_text("contactEmailAddress").strip()
    if not value or value.startswith("["):
        return
    parts = [part.strip() for part in re.split(r"[,;]| and | or ", value)]
    if value.lower().startswith("mailto:") or not all(_EMAIL.search(part) for part in parts if part):
        why = f"'{value}' is not an e-mail address"
        yield context.at_metadata("contactEmailAddress", why, "write only the address, as name@host")


def logo_format(context: RuleContext) -> Iterator[RuleMatch]:
    """The logo must be a vector file."""
    value = context.questionnaire.metadata_text("productLogoUrl").strip()
    if not is_web_url(value):
        return
    without_query = re.split(r"[?#]", value.lower())[0]
    if not without_query.endswith(VECTOR_FORMATS):
        why = "the logo is not an SVG, EPS or AI file"
        yield context.at_metadata("productLogoUrl", why, "link to a vector file")
    elif not value.lower().endswith(VECTOR_FORMATS):
        why = "the validator checks the end of the URL, which is not .svg, .eps or .ai"
        yield context.at_metadata("productLogoUrl", why, "link to the file without ? and #", Severity.WARNING)


def not_a_member(context: RuleContext) -> Iterator[RuleMatch]:
    """The vendor's name must equal its name in the CNCF landscape."""
    value = context.questionnaire.metadata_text("vendorName").strip()
    if not value or value.startswith("["):
        return
    if value.endswith((" (member)", " (supporter)")):
        name, _, suffix = value.rpartition("(")
        why = f"the validator's list of members has the name without '({suffix}'"
        yield context.at_metadata("vendorName", why, f"write {name.strip()}")
    elif context.members is not None and value not in context.members:
        near = [name for name in context.members if name.lower() == value.lower() or name.startswith(value)]
        fix = f"did you mean '{near[0]}'?" if near else "use the name in landscape.cncf.io/members"
        yield context.at_metadata("vendorName", f"'{value}' is not a member in the landscape file", fix)


def unknown_version(context: RuleContext) -> Iterator[RuleMatch]:
    """The questionnaire must be for a version whose requirements are known."""
    version = effective_version(context.questionnaire)
    if not version:
        if context.questionnaire.metadata.get("kubernetesVersion"):
            return  # bad-version reports it
        why = "neither the directory (vX.Y/PRODUCT) nor kubernetesVersion states the version"
        yield context.at_metadata("kubernetesVersion", why, "write kubernetesVersion: vX.Y")
    elif context.expected is None:
        why = f"the requirements of {version} are not known, so they cannot be compared"
        fix = f"give the official template of {version} with --template; known versions are {', '.join(VERSIONS)}"
        yield context.at_metadata("kubernetesVersion", why, fix)


def bad_version(context: RuleContext) -> Iterator[RuleMatch]:
    """The field kubernetesVersion must be a version of Kubernetes."""
    value = context.questionnaire.metadata_text("kubernetesVersion").strip()
    if value and not value.startswith("[") and not _VERSION.fullmatch(value):
        why = f"'{value}' is not a version of Kubernetes"
        yield context.at_metadata("kubernetesVersion", why, "write it in the form v1.37")


def version_mismatch(context: RuleContext) -> Iterator[RuleMatch]:
    """The directory, kubernetesVersion and k8sConformanceUrl must name the same version."""
    questionnaire = context.questionnaire
    stated, directory = questionnaire.stated_version, questionnaire.directory_version
    if directory and stated and directory != stated:
        why = f"kubernetesVersion is {stated}, but the file is in the directory v{directory}"
        yield context.at_metadata("kubernetesVersion", why, f"write v{directory}, or move the product's directory")
    found = _CONFORMANCE.fullmatch(questionnaire.metadata_text("k8sConformanceUrl"))
    version = effective_version(questionnaire)
    if found and version and found[1] != version:
        why = f"the conformance results are for v{found[1]}, but this questionnaire is for v{version}"
        yield context.at_metadata("k8sConformanceUrl", why, f"link to the product's directory in v{version}")


def bad_conformance_url(context: RuleContext) -> Iterator[RuleMatch]:
    """The field k8sConformanceUrl must be a product's directory in cncf/k8s-conformance."""
    value = context.questionnaire.metadata_text("k8sConformanceUrl")
    if value.strip() and not value.startswith("[") and not _CONFORMANCE.fullmatch(value):
        why = "this is not the URL of a product's directory in cncf/k8s-conformance"
        fix = "write only https://github.com/cncf/k8s-conformance/tree/master/vX.Y/PRODUCT"
        yield context.at_metadata("k8sConformanceUrl", why, fix)
