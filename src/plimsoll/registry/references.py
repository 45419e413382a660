"""Names of things in a registry: `registry/repository[:tag][@digest]`. Pure.

Source: the OCI Distribution Specification 1.1, "Pulling manifests", for what a repository, tag and digest may be. Short
names such as `python:3.11` mean Docker Hub, as everywhere.
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
_HINT = "a reference is registry/repository, then :tag, @sha256:digest or both, such as localhost:5000/team/triage:1"


class Reference(Struct, frozen=True, kw_only=True):
    """Where something is. `registry` is a host with an optional port; `tag` and `digest` are empty when not given."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def host(self) -> str:
        """The host and port that answer for the registry."""
        return _HUB_HOST if self.registry == HUB else self.registry

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, or the tag, or `latest`."""
        return self.digest or self.tag or "latest"

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, digest: str) -> Reference:
        """The same repository at exactly this digest: what pods are given."""
        return replace(self, tag="", digest=digest)

    def tagged(self, tag: str) -> Reference:
        """The same repository under this tag."""
        return parse(f"{self.name}:{tag}")

    def below(self, *parts: str) -> Reference:
        """A repository below this one, such as `registry/app` and `triage` to `registry/app/triage`."""
        return parse("/".join([self.name, *parts]))

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Read a reference. Raises FileError that says what of it cannot be."""
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
        raise FileError(f"'{registry[:80]}' is no registry", where=text[:200], hint=_HINT)
    if len(repository) > 255 or not _REPOSITORY.fullmatch(repository):
        hint = "a repository has small letters and digits, with '.', '_', '-' and '/' between them"
        raise FileError(f"'{repository[:80]}' cannot be a repository", where=text[:200], hint=hint)
    if colon and not _TAG.fullmatch(tag):
        hint = "a tag has at most 128 letters, digits, '.', '_' and '-'"
        raise FileError(f"'{tag[:80]}' cannot be a tag", where=text[:200], hint=hint)
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise FileError(f"'{digest[:80]}' is no SHA-256 digest", where=text[:200], hint=_HINT)
    return Reference(registry=registry, repository=repository, tag=tag, digest=digest)
