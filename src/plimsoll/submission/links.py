"""What can be said of a link without following it. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, unquote, urlsplit

_WEB = re.compile(r"https?://", re.IGNORECASE)
_NAMES_INSIDE = (".local", ".internal", ".corp", ".lan", ".intranet", ".localdomain", ".svc", ".test", ".invalid")
_SPECIMEN = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|yoyo\.dyne|yoyodyne\.\w+|turbo-encabulator\.\w+)$"
)
_SPECIMEN_HOSTS = frozenset({"docs.vendor.com", "vendor.com", "www.vendor.com"})
_SUBMISSION = re.compile(r"^/([^/]+)/k8s-ai-conformance(?:/.*?/v(\d+\.\d+)/([^/]+)|/|$)")
_MOVING = re.compile(
    r"^/[^/]+/[^/]+/(?:blob|tree|raw|-/blob|-/tree|-/raw)/(main|master|HEAD|develop|dev|latest)(?:/|$)"
)
_ONE_PERSONS = frozenset(
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


def is_web(text: str) -> bool:
    """Whether the official validator takes a text for a web address."""
    return text.startswith(("http://", "https://"))


def split(text: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def host(text: str) -> str:
    """The host of an address in lower case, without www."""
    parts = split(text)
    return (parts.hostname or "").lower().removeprefix("www.") if parts else ""


def not_public(text: str) -> bool:
    """Whether nobody outside can reach it: this machine, a private network, a cluster's own names."""
    parts = split(text)
    name = (parts.hostname or "").lower().rstrip(".") if parts else ""
    if not name:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith((".localhost", *_NAMES_INSIDE)) or "." not in name
    return not address.is_global


def specimen(text: str) -> bool:
    """Whether the host is one of documents' examples, such as example.com or the template's own."""
    parts = split(text)
    name = (parts.hostname or "").lower() if parts else ""
    return bool(_SPECIMEN.search(name)) or name in _SPECIMEN_HOSTS


def one_persons(text: str) -> bool:
    """Whether the host keeps files that one person can change or close, or hides where it leads."""
    return host(text) in _ONE_PERSONS or host(text).endswith(".sharepoint.com")


def moving_branch(text: str) -> str:
    """The branch by which a file of a repository is named, when its content may be another tomorrow."""
    parts = split(text)
    if parts is None:
        return ""
    if host(text) == "raw.githubusercontent.com":
        pieces = parts.path.removeprefix("/").split("/")
        return pieces[2] if len(pieces) > 3 and pieces[2] in ("main", "master", "HEAD", "develop") else ""
    found = _MOVING.match(parts.path) if host(text) in ("github.com", "gitlab.com") else None
    return found[1] if found else ""


def submission(text: str) -> tuple[str, str, str] | None:
    """Owner, version and product of a link into the programme's repository or a fork of it; the latter two or none."""
    parts = split(text)
    if parts is None or host(text) not in ("github.com", "raw.githubusercontent.com"):
        return None
    found = _SUBMISSION.match(parts.path)
    return (found[1], found[2] or "", found[3] or "") if found else None


def repository_owner(text: str) -> str:
    """Whose account a link to a code host leads to, in lower case; nothing for other links."""
    parts = split(text)
    if parts is None or host(text) not in ("github.com", "raw.githubusercontent.com", "gitlab.com"):
        return ""
    return parts.path.strip("/").partition("/")[0].lower()


def comparable(text: str) -> str:
    """An address or a file's name as one compares it: without scheme, www, a slash at the end, and case of the host."""
    plain = text.strip()
    parts = split(plain) if _WEB.match(plain) else None
    if parts is None:
        return plain.removeprefix("file://").removeprefix("./").rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{host(plain)}{parts.path.rstrip('/')}{query}{fragment}"


def words_of(text: str, host_too: bool = True) -> str:
    """The words of an address or a file's name, in lower case with single spaces: what one guesses its topic from."""
    plain = comparable(unquote(text))
    if not host_too and _WEB.match(text.strip()):
        plain = plain.partition("/")[2]
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return " ".join(re.split(r"[^a-z0-9]+", plain.lower())).strip()
