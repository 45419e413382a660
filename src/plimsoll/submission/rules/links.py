"""Rules of addresses, as far as they can be judged without following them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.application.places import Keys
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.links import (
    host,
    is_web,
    moving_branch,
    not_public,
    one_persons,
    repository_owner,
    specimen,
    split,
    submission,
)
from plimsoll.submission.projects import ACCOUNTS, COMMON_WORDS
from plimsoll.submission.questionnaire import Entry
from plimsoll.submission.rules.context import Context

ADDRESSES = ("websiteUrl", "repoUrl", "documentationUrl", "productLogoUrl", "k8sConformanceUrl")
Link = tuple[str, Keys, Entry | None]


def url_malformed(context: Context) -> Iterator[Hit]:
    """An address that is not read as one."""
    for text, path, entry in _links(context):
        plain = text.strip()
        if is_web(plain) and plain != text:
            if entry is not None and not is_web(text):
                why = "a space before the address: the validator takes it for a file"
                yield context.at_path(path, why, "remove the space", entry, Severity.ERROR)
            else:
                where = "before" if text != text.lstrip() else "behind"
                why = f"a space {where} the address" + ("" if is_web(text) else " hides it from the validator")
                yield context.at_path(path, why, "remove the space", entry)
        if is_web(plain):
            if split(plain) is None:
                yield context.at_path(
                    path, "this address has no host that could be called", "write it out", entry, Severity.ERROR
                )
            elif re.search(r"\s", plain) or re.search(r"[,;|]https?://", plain):
                yield context.at_path(path, "this is more than one address", "give each an item of its own", entry)
        elif entry is None and plain and not plain.startswith("["):
            local = path[-1] in ("productLogoUrl", "product_logo_url")
            why = "this does not begin with https://, so that nobody checks it"
            yield context.at_path(path, why, "write the whole address", None, Severity.NOTE if local else None)


def url_not_public(context: Context) -> Iterator[Hit]:
    """The validator calls every address, from outside."""
    for text, path, entry in _links(context):
        if is_web(text.strip()) and not_public(text):
            why = "this address cannot be reached from outside"
            yield context.at_path(path, why, "publish it and link there", entry)


def url_insecure(context: Context) -> Iterator[Hit]:
    """Evidence that anybody on the way can change."""
    found = [each for each in _links(context) if each[0].strip().startswith("http://") and not not_public(each[0])]
    yield from _together(context, found, "this address is not https", "write https:// where the site has it")


def url_personal(context: Context) -> Iterator[Hit]:
    """Evidence that one person can change or close."""
    for text, path, entry in _links(context):
        if one_persons(text):
            why = "what lies there can be changed or closed by one person, or needs a login"
            yield context.at_path(
                path, why, "publish it in the product's documentation or beside the questionnaire", entry
            )
    yield from _strangers(context)


def _strangers(context: Context) -> Iterator[Hit]:
    """Accounts of a code host that are neither the vendor's, by any name that it gives, nor a known project's."""
    said = context.questionnaire.said
    hosts = [host(said(field)).rpartition(".")[0] for field in ("websiteUrl", "documentationUrl")]
    names = [said("vendorName"), said("platformName"), repository_owner(said("repoUrl")), *hosts]
    words = {word for name in names for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 2} - COMMON_WORDS
    told = set()
    for text, path, entry in _links(context):
        owner = repository_owner(text)
        plain = re.sub(r"[^a-z0-9]", "", owner)
        if not plain or owner in ACCOUNTS or owner in told or any(word in plain or plain in word for word in words):
            continue
        told.add(owner)
        why = f"'{owner}' is by its name neither the vendor nor a known project"
        fix = "if the account is a person's, publish the evidence under the vendor's"
        yield context.at_path(path, why, fix, entry, Severity.NOTE)


def url_moving(context: Context) -> Iterator[Hit]:
    """Evidence on a branch may say something else tomorrow."""
    found = [
        each
        for each in _links(context)
        if each[2] is not None and moving_branch(each[0]) and submission(each[0]) is None and not specimen(each[0])
    ]
    why = "this names a branch: what it shows can change after the review"
    yield from _together(context, found, why, "link to a tag or a commit")


def _together(context: Context, found: list[Link], why: str, fix: str) -> Iterator[Hit]:
    """One finding for all of a kind: advice is read once."""
    if found:
        more = f" ({len(found) - 1} more like it)" if len(found) > 1 else ""
        _, path, entry = found[0]
        yield context.at_path(path, f"{why}{more}", fix, entry)


def _links(context: Context) -> Iterator[Link]:
    questionnaire = context.questionnaire
    for field in ADDRESSES:
        if text := questionnaire.said(field):
            yield text, questionnaire.found[field], None
    for entry in questionnaire.entries:
        for each in entry.links:
            yield each.text, each.path, entry
