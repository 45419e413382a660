"""References to images and artifacts: `registry/repository[:tag][@digest]`. Pure.

The OCI Distribution Specification 1.1, "Pulling manifests", defines repositories, tags and digests. Short names, for
example `python:3.11`, mean Docker Hub.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.errors import FileError

HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HINT = "a reference is registry/repository with :tag, @sha256:digest or both, for example localhost:5000/team/triage:1"


class Reference(Struct, frozen=True, kw_only=True):
    """A place in a registry. `registry` is a host with an optional port. `tag` and `digest` may be empty."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def host(self) -> str:
        """The host and port of the registry's API."""
        return _HUB_HOST if self.registry == HUB else self.registry

    @property
    def target(self) -> str:
        """The digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, digest: str) -> Reference:
        """The same repository at this digest. Pods use references of this form."""
        return replace(self, tag="", digest=digest)

    def tagged(self, tag: str) -> Reference:
        """The same repository with this tag."""
        return parse_reference(f"{self.name}:{tag}")

    def below(self, *parts: str) -> Reference:
        """A repository below this one: `registry/app` and `triage` give `registry/app/triage`."""
        return parse_reference("/".join([self.name, *parts]))

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Parse a reference. Raises FileError that names the invalid part."""
    name, _, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, path = head, rest
    else:
        registry, path = HUB, name if slash else f"library/{name}"
    if registry in {"index.docker.io", _HUB_HOST}:
        registry = HUB
    repository, colon, tag = path.partition(":")
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", registry):
        raise FileError(f"'{registry[:80]}' is not a registry", where=text[:200], hint=_HINT)
    if len(repository) > 255 or not _REPOSITORY.fullmatch(repository):
        hint = "a repository has lower-case letters and digits, separated by '.', '_', '-' and '/'"
        raise FileError(f"'{repository[:80]}' cannot be a repository", where=text[:200], hint=hint)
    if colon and not _TAG.fullmatch(tag):
        hint = "a tag has at most 128 letters, digits, '.', '_' and '-'"
        raise FileError(f"'{tag[:80]}' cannot be a tag", where=text[:200], hint=hint)
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise FileError(f"'{digest[:80]}' is not a SHA-256 digest", where=text[:200], hint=_HINT)
    return Reference(registry=registry, repository=repository, tag=tag, digest=digest)
