"""Rules of the metadata: who files what, for which version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import VERSIONS
from plimsoll.submission.expected import version_of
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.links import is_web, specimen
from plimsoll.submission.questionnaire import METADATA, OPTIONAL
from plimsoll.submission.rules.context import Context

_CONFORMANCE = re.compile(r"https://github\.com/cncf/k8s-conformance/tree/(?:master|main)/v(\d+\.\d+)/[^/]+/?")
_ADDRESS = re.compile(r"[^\s@<>,;:]+@[^\s@<>,;:]+\.[^\s@<>,;:.]{2,}")
_VERSION = re.compile(r"v?\d+\.\d+(?:\.\d+)?(?:[-+][\w.+-]+)?")
# The programme's own specimen of a filled-in questionnaire, and what people write where something is still to come.
_SPECIMENS = re.compile(r"(?i)turbo[ -]?encabulator|yoyodyne")
_TO_COME = re.compile(r"\b(?:TODO|TBD|FIXME|XXX)\b|(?i:lorem ipsum|\bto be filled|\bfill me in\b|\bchangeme\b)")
_BLANKS = re.compile(
    r"<[a-zA-Z][\w -]*>|\$\{?dir\b\}?|\[(?:insert|your|platform|vendor|product)\b[^\]]*\]", re.IGNORECASE
)
VECTORS = (".svg", ".eps", ".ai")


def missing_field(context: Context) -> Iterator[Hit]:
    """Every field but repoUrl must be there and say something."""
    if not isinstance(context.questionnaire.root.get("metadata"), dict):
        return
    for field in METADATA:
        value = context.questionnaire.metadata.get(field)
        if field in OPTIONAL:
            continue
        if value is None:
            hint = (
                f"add {field}: https://github.com/cncf/k8s-conformance/tree/master/vX.Y/PRODUCT; "
                "most official templates forget it"
                if field == "k8sConformanceUrl"
                else f"add {field}"
            )
            yield context.at_metadata(field, f"'{field}' is missing, the official validator asks for it", hint)
        elif value == "":
            yield context.at_metadata(field, f"'{field}' is empty", "fill it in")
        elif isinstance(value, str) and not value.strip():
            yield context.at_metadata(field, f"'{field}' holds spaces only", "fill it in", Severity.WARNING)


def placeholder(context: Context) -> Iterator[Hit]:
    """What a template or an example has left."""
    for field in METADATA:
        value = context.questionnaire.said(field)
        if value.startswith("[") and value.endswith("]"):
            yield context.at_metadata(field, f"'{field}' still has the template's placeholder {value}", "fill it in")
        elif found := (_SPECIMENS.search(value) or _TO_COME.search(value) or _BLANKS.search(value)):
            yield _left(context, field, found[0])
        elif is_web(value) and specimen(value):
            yield _left(context, field, value)
    for entry in context.entries:
        for each in entry.links:
            if found := (_SPECIMENS.search(each.text) or _TO_COME.search(each.text) or _BLANKS.search(each.text)):
                why = f"'{found[0]}' is a placeholder"
            elif is_web(each.text) and specimen(each.text):
                why = "this address is an example"
            else:
                continue
            yield context.at_path(each.path, why, "cite what shows the requirement", entry, Severity.WARNING)
        if entry.status and (found := (_SPECIMENS.search(entry.notes) or _TO_COME.search(entry.notes))):
            yield context.at(entry, "notes", f"'{found[0]}' is left in the notes", "finish them", Severity.WARNING)


def _left(context: Context, field: str, text: str) -> Hit:
    return context.at_metadata(field, f"'{text}' in '{field}' is an example's", "fill in your own", Severity.WARNING)


def bad_email(context: Context) -> Iterator[Hit]:
    """Somebody must be reachable."""
    value = context.questionnaire.said("contactEmailAddress").strip()
    if not value or value.startswith("["):
        return
    parts = [part.strip() for part in re.split(r"[,;]| and | or ", value)]
    if value.lower().startswith("mailto:") or not all(_ADDRESS.search(part) for part in parts if part):
        yield context.at_metadata(
            "contactEmailAddress", f"'{value}' is no e-mail address", "write name@host, and no more"
        )


def logo_format(context: Context) -> Iterator[Hit]:
    """The programme takes vector graphics only."""
    value = context.questionnaire.said("productLogoUrl").strip()
    if not is_web(value):
        return
    plain = re.split(r"[?#]", value.lower())[0]
    if not plain.endswith(VECTORS):
        yield context.at_metadata("productLogoUrl", "the logo must be an SVG, EPS or AI file", "link to a vector file")
    elif not value.lower().endswith(VECTORS):
        why = "the validator looks at the address's very end, which here is no .svg, .eps or .ai"
        yield context.at_metadata("productLogoUrl", why, "link to the file without ? and #", Severity.WARNING)


def not_a_member(context: Context) -> Iterator[Hit]:
    """The vendor's name is that of the CNCF landscape, to the letter."""
    value = context.questionnaire.said("vendorName").strip()
    if not value or value.startswith("["):
        return
    if value.endswith((" (member)", " (supporter)")):
        why = f"the validator knows members without '{value[value.rindex('(') :]}'"
        yield context.at_metadata("vendorName", why, f"write {value[: value.rindex('(')].strip()}")
    elif context.members is not None and value not in context.members:
        near = [name for name in context.members if name.lower() == value.lower() or name.startswith(value)]
        fix = f"did you mean '{near[0]}'?" if near else "take the name from landscape.cncf.io/members"
        yield context.at_metadata("vendorName", f"'{value}' is no member of the landscape file", fix)


def unknown_version(context: Context) -> Iterator[Hit]:
    """Without a version there is nothing to judge by."""
    version = version_of(context.questionnaire)
    if not version:
        if context.questionnaire.metadata.get("kubernetesVersion"):
            return  # bad-version tells of it
        why = "neither its directory (vX.Y/PRODUCT) nor kubernetesVersion says for which version this is"
        yield context.at_metadata("kubernetesVersion", why, "write kubernetesVersion: vX.Y")
    elif context.expected is None:
        why = f"there is no template of {version} here, so that its requirements cannot be compared"
        known = f"known are {', '.join(VERSIONS)}; give the official template with --template"
        yield context.at_metadata("kubernetesVersion", why, known)


def bad_version(context: Context) -> Iterator[Hit]:
    """A version is a version."""
    value = context.questionnaire.said("kubernetesVersion").strip()
    if value and not value.startswith("[") and not _VERSION.fullmatch(value):
        yield context.at_metadata("kubernetesVersion", f"'{value}' is no version of Kubernetes", "write it as v1.37")


def version_mismatch(context: Context) -> Iterator[Hit]:
    """Directory, kubernetesVersion and k8sConformanceUrl speak of one version."""
    questionnaire = context.questionnaire
    if questionnaire.placed and questionnaire.stated and questionnaire.placed != questionnaire.stated:
        why = f"kubernetesVersion says {questionnaire.stated}, the file stands in v{questionnaire.placed}"
        yield context.at_metadata("kubernetesVersion", why, f"write v{questionnaire.placed}, or move the directory")
    found = _CONFORMANCE.fullmatch(questionnaire.said("k8sConformanceUrl"))
    version = version_of(questionnaire)
    if found and version and found[1] != version:
        why = f"the conformance results are of v{found[1]}, this questionnaire is for v{version}"
        yield context.at_metadata("k8sConformanceUrl", why, f"link to the product's directory in v{version}")


def bad_conformance_url(context: Context) -> Iterator[Hit]:
    """The link to the product's Kubernetes conformance has one form only."""
    value = context.questionnaire.said("k8sConformanceUrl")
    if value.strip() and not value.startswith("[") and not _CONFORMANCE.fullmatch(value):
        why = "this is not the address of a directory of cncf/k8s-conformance"
        fix = "write https://github.com/cncf/k8s-conformance/tree/master/vX.Y/PRODUCT, and nothing around it"
        yield context.at_metadata("k8sConformanceUrl", why, fix)
