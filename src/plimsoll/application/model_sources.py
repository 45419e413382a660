"""Where a model that is brought, or data, comes from: a path, an address, or a file inside a package. Pure.

pypi:NAME==VERSION#PATTERN    npm:NAME@VERSION#PATTERN    maven:GROUP:ARTIFACT:VERSION#PATTERN
oci://REGISTRY/REPOSITORY@sha256:DIGEST#PATTERN           hf://OWNER/NAME@REVISION/PATH
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

Registry = Literal["pypi", "npm", "maven"]
ADDRESSES = ("https://", "http://", "s3://", "gs://")
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_VERSION = r"[A-Za-z0-9][A-Za-z0-9.+!_-]{0,127}"
_PACKAGES: dict[Registry, tuple[re.Pattern[str], str]] = {
    "pypi": (re.compile(rf"pypi:({_WORD})==({_VERSION})#(.+)"), "pypi:NAME==VERSION#PATTERN"),
    "npm": (re.compile(rf"npm:((?:@{_WORD}/)?{_WORD})@({_VERSION})#(.+)"), "npm:NAME@VERSION#PATTERN"),
    "maven": (re.compile(rf"maven:({_WORD}:{_WORD}):({_VERSION})#(.+)"), "maven:GROUP:ARTIFACT:VERSION#PATTERN"),
}
_HUB = re.compile(rf"hf://({_WORD}/{_WORD})@({_WORD})/([^#?]+)")
_OCI = re.compile(r"oci://([^#@\s]+)@(sha256:[0-9a-f]{64})#(.+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_FORM, OCI_FORM = "hf://OWNER/NAME@REVISION/PATH", "oci://REGISTRY/REPOSITORY@sha256:DIGEST#PATTERN"


class Package(Struct, frozen=True, kw_only=True):
    """A version of a package, and a pattern such as `*.onnx` for files in it."""

    registry: Registry
    name: str
    version: str
    pattern: str


class HubFile(Struct, frozen=True, kw_only=True):
    """A file of a repository at a model hub, at a revision."""

    repository: str
    revision: str
    path: str


class OciFile(Struct, frozen=True, kw_only=True):
    """A file of an artifact in an OCI registry, by the digest of its manifest."""

    repository: str
    digest: str
    pattern: str


class Address(Struct, frozen=True, kw_only=True):
    """A file at an address."""

    url: str


class LocalPath(Struct, frozen=True, kw_only=True):
    """A file beside the application file."""

    path: str


ModelSource = Package | HubFile | OciFile | Address | LocalPath


def parse_source(text: str) -> ModelSource:
    """The source that a text names. Raises ValueError with a sentence for one in a wrong form."""
    scheme = text.partition(":")[0]
    for registry, (form, words) in _PACKAGES.items():
        if scheme == registry:
            found = form.fullmatch(text)
            if not found:
                raise ValueError(f"a file of a package is {words}")
            return Package(registry=registry, name=found[1], version=found[2], pattern=found[3])
    if scheme == "hf":
        if not (found := _HUB.fullmatch(text)) or ".." in found[3].split("/"):
            raise ValueError(f"a file of a model hub is {HUB_FORM}")
        return HubFile(repository=found[1], revision=found[2], path=found[3])
    if scheme == "oci":
        if not (found := _OCI.fullmatch(text)):
            raise ValueError(f"a file of an artifact is {OCI_FORM}")
        return OciFile(repository=found[1], digest=found[2], pattern=found[3])
    if "://" not in text:
        return LocalPath(path=text)
    if not text.startswith(ADDRESSES):
        raise ValueError(f"sources of {scheme}:// are not supported")
    return Address(url=text)


def is_package(text: str) -> bool:
    """Whether a text names a file of a package, in a right form or a wrong one."""
    return text.partition(":")[0] in _PACKAGES


def is_pinned(source: ModelSource) -> bool:
    """Whether the text itself says which content it means, so that nothing has to be asked to plan with it."""
    match source:
        case Package() | OciFile():
            return True
        case HubFile():
            return _COMMIT.fullmatch(source.revision) is not None
        case _:
            return False


def has_pattern(source: ModelSource) -> bool:
    """Whether other files of the same package can be named by patterns."""
    return isinstance(source, Package | OciFile)
