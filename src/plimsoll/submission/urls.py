"""Judges URLs by their text, without a request. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

_WEB = re.compile(r"https?://", re.IGNORECASE)
_PRIVATE_SUFFIXES = (".local", ".internal", ".corp", ".lan", ".intranet", ".localdomain", ".svc", ".test", ".invalid")
_EXAMPLE = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|yoyo\.dyne|yoyodyne\.\w+|turbo-encabulator\.\w+)$")
_EXAMPLE_HOSTS = frozenset({"docs.vendor.com", "vendor.com", "www.vendor.com"})
_SUBMISSION = re.compile(r"^/([^/]+)/k8s-ai-conformance(?:/.*?/v(\d+\.\d+)/([^/]+)|/|$)")
_BRANCH = re.compile(
    r"^/[^/]+/[^/]+/(?:blob|tree|raw|-/blob|-/tree|-/raw)/(main|master|HEAD|develop|dev|latest)(?:/|$)"
)
_PERSONAL_HOSTS = frozenset(
    {
        "gist.github.com",
        "gist.githubusercontent.com",
        "drive.google.com",
        "docs.google.com",
        "dropbox.com",
        "1drv.ms",
        "onedrive.live.com",
        "pastebin.com",
        "wetransfer.com",
        "bit.ly",
        "tinyurl.com",
    }
)


class LinkedSubmission(Struct, frozen=True, kw_only=True):
    """A link into the programme's repository or a fork of it; `version` and `product` may be empty."""

    owner: str
    version: str = ""
    product: str = ""


def is_web_url(text: str) -> bool:
    """Whether the official validator treats a text as a web address."""
    return text.startswith(("http://", "https://"))


def parse_url(text: str) -> SplitResult | None:
    """The parts of a URL; None for a text without a host or with a wrong port."""
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def host_of(text: str) -> str:
    """The host of a URL in lower case, without `www.`; an empty string when there is none."""
    return _full_host(text).removeprefix("www.")


def _full_host(text: str) -> str:
    parts = parse_url(text)
    return (parts.hostname or "").lower() if parts else ""


def is_private(text: str) -> bool:
    """Whether a URL cannot be reached from outside: this machine, a private network, a cluster's own names."""
    name = _full_host(text).rstrip(".")
    if not name:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith((".localhost", *_PRIVATE_SUFFIXES)) or "." not in name
    return not address.is_global


def is_example(text: str) -> bool:
    """Whether the host is an example, such as example.com or a host of the official template."""
    name = _full_host(text)
    return bool(_EXAMPLE.search(name)) or name in _EXAMPLE_HOSTS


def is_personal_host(text: str) -> bool:
    """Whether one person can change or delete the files of this host, or the host hides the destination."""
    return host_of(text) in _PERSONAL_HOSTS or host_of(text).endswith(".sharepoint.com")


def branch_of(text: str) -> str:
    """The branch in a link to a repository's file, or an empty string for a tag, a commit or another link."""
    parts = parse_url(text)
    if parts is None:
        return ""
    if host_of(text) == "raw.githubusercontent.com":
        pieces = parts.path.removeprefix("/").split("/")
        return pieces[2] if len(pieces) > 3 and pieces[2] in ("main", "master", "HEAD", "develop") else ""
    found = _BRANCH.match(parts.path) if host_of(text) in ("github.com", "gitlab.com") else None
    return found[1] if found else ""


def linked_submission(text: str) -> LinkedSubmission | None:
    """The submission that a link into k8s-ai-conformance, or a fork of it, leads to; None for other links."""
    parts = parse_url(text)
    if parts is None or host_of(text) not in ("github.com", "raw.githubusercontent.com"):
        return None
    found = _SUBMISSION.match(parts.path)
    return LinkedSubmission(owner=found[1], version=found[2] or "", product=found[3] or "") if found else None


def repository_owner(text: str) -> str:
    """The account of a link to a code host, in lower case; an empty string for other links."""
    parts = parse_url(text)
    if parts is None or host_of(text) not in ("github.com", "raw.githubusercontent.com", "gitlab.com"):
        return ""
    return parts.path.strip("/").partition("/")[0].lower()


def normalized_url(text: str) -> str:
    """A URL or file name in the form for comparison: no scheme, no `www.`, no final slash, host in lower case."""
    plain = text.strip()
    parts = parse_url(plain) if _WEB.match(plain) else None
    if parts is None:
        return plain.removeprefix("file://").removeprefix("./").rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{host_of(plain)}{parts.path.rstrip('/')}{query}{fragment}"


def url_words(text: str, include_host: bool = True) -> str:
    """The words of a URL or file name, in lower case with single spaces: they hint at the page's topic."""
    plain = normalized_url(unquote(text))
    if not include_host and _WEB.match(text.strip()):
        plain = plain.partition("/")[2]
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return " ".join(re.split(r"[^a-z0-9]+", plain.lower())).strip()
