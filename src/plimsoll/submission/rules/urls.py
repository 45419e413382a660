"""Rules for URLs, as far as the text of a URL shows a problem without a request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from plimsoll.documents.places import Keys
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.url_owners import COMMON_WORDS, KNOWN_ACCOUNTS
from plimsoll.submission.urls import (
    branch_of,
    host_of,
    is_example,
    is_personal_host,
    is_private,
    is_web_url,
    linked_submission,
    parse_url,
    repository_owner,
)

URL_FIELDS = ("websiteUrl", "repoUrl", "documentationUrl", "productLogoUrl", "k8sConformanceUrl")


class _Link(Struct, frozen=True):
    """A URL with its path in the document; `entry` is None for a URL of the metadata."""

    text: str
    path: Keys
    entry: QuestionnaireEntry | None


def url_malformed(context: RuleContext) -> Iterator[RuleMatch]:
    """A URL must have a scheme and a host, stand alone, and have no space around it."""
    for link in _links(context):
        if is_web_url(link.text.strip()):
            yield from _surrounding_space(context, link)
            yield from _malformed(context, link)
        elif link.entry is None and link.text.strip() and not link.text.strip().startswith("["):
            may_be_file = link.path[-1] in ("productLogoUrl", "product_logo_url")
            why = "the address does not begin with https://, so the validator does not check it"
            severity = Severity.NOTE if may_be_file else None
            yield context.at_path(link.path, why, "write the full URL", severity=severity)


def _surrounding_space(context: RuleContext, link: _Link) -> Iterator[RuleMatch]:
    if link.text.strip() == link.text:
        return
    if link.entry is not None and not is_web_url(link.text):
        why = "a space precedes the URL, so the validator takes it for a file"
        yield context.at_path(link.path, why, "remove the space", link.entry, Severity.ERROR)
        return
    why = "a space precedes the URL" if link.text != link.text.lstrip() else "a space follows the URL"
    if not is_web_url(link.text):
        why += ", so the validator does not recognise it"
    yield context.at_path(link.path, why, "remove the space", link.entry)


def _malformed(context: RuleContext, link: _Link) -> Iterator[RuleMatch]:
    url = link.text.strip()
    if parse_url(url) is None:
        yield context.at_path(link.path, "the URL has no valid host", "write the full URL", link.entry, Severity.ERROR)
    elif re.search(r"\s", url) or re.search(r"[,;|]https?://", url):
        yield context.at_path(link.path, "the text is more than one URL", "write one item for each URL", link.entry)


def url_not_public(context: RuleContext) -> Iterator[RuleMatch]:
    """A URL must be reachable from the internet, because the validator requests it."""
    for link in _links(context):
        if is_web_url(link.text.strip()) and is_private(link.text):
            why = "the URL cannot be reached from the internet"
            yield context.at_path(link.path, why, "publish the page and link to the public URL", link.entry)


def url_insecure(context: RuleContext) -> Iterator[RuleMatch]:
    """A URL should use https, because http lets others change the page on its way."""
    found = [link for link in _links(context) if link.text.strip().startswith("http://") and not is_private(link.text)]
    yield from _first_of(context, found, "the URL uses http", "write https:// if the site supports it")


def url_personal(context: RuleContext) -> Iterator[RuleMatch]:
    """Evidence must not be on a page that one person can change or delete."""
    for link in _links(context):
        if is_personal_host(link.text):
            why = f"one person can change or delete the page on {host_of(link.text)}, or it needs a login"
            fix = "publish it in the product's documentation or beside the questionnaire"
            yield context.at_path(link.path, why, fix, link.entry)
    yield from _unknown_accounts(context)


def _unknown_accounts(context: RuleContext) -> Iterator[RuleMatch]:
    """Accounts of a code host that match neither a name in the vendor's metadata nor a known project."""
    text = context.questionnaire.metadata_text
    hosts = [host_of(text(field)).rpartition(".")[0] for field in ("websiteUrl", "documentationUrl")]
    names = [text("vendorName"), text("platformName"), repository_owner(text("repoUrl")), *hosts]
    words = {word for name in names for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 2} - COMMON_WORDS
    reported = set()
    for link in _links(context):
        owner = repository_owner(link.text)
        plain = re.sub(r"[^a-z0-9]", "", owner)
        is_known = owner in KNOWN_ACCOUNTS or any(word in plain or plain in word for word in words)
        if not plain or owner in reported or is_known:
            continue
        reported.add(owner)
        why = f"the account '{owner}' has the name of neither the vendor nor a known project"
        fix = "if the account belongs to a person, publish the evidence under the vendor's account"
        yield context.at_path(link.path, why, fix, link.entry, Severity.NOTE)


def url_moving(context: RuleContext) -> Iterator[RuleMatch]:
    """Evidence in a repository should be at a tag or commit, because a branch can change after the review."""
    found = [
        link
        for link in _links(context)
        if link.entry is not None
        and branch_of(link.text)
        and linked_submission(link.text) is None
        and not is_example(link.text)
    ]
    why = "the URL names a branch, so its content can change after the review"
    yield from _first_of(context, found, why, "link to a tag or a commit")


def _first_of(context: RuleContext, found: list[_Link], why: str, fix: str) -> Iterator[RuleMatch]:
    """One match for all links of a kind, so that the advice does not repeat."""
    if found:
        more = f" ({len(found) - 1} more like it)" if len(found) > 1 else ""
        yield context.at_path(found[0].path, f"{why}{more}", fix, found[0].entry)


def _links(context: RuleContext) -> Iterator[_Link]:
    questionnaire = context.questionnaire
    for field in URL_FIELDS:
        if text := questionnaire.metadata_text(field):
            yield _Link(text, questionnaire.metadata_paths[field], None)
    for entry in questionnaire.entries:
        for each in entry.citations:
            yield _Link(each.text, each.path, entry)
