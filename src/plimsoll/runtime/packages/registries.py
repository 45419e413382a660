"""Finds the archive of a version of a package: the JSON of a Python index, of npm, and the files beside a Maven jar."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.application.model_sources import Package
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.runtime.packages.answers import Stopped, document
from plimsoll.runtime.packages.located import Located
from plimsoll.runtime.packages.settings import maven_repository, npm_registry, pypi_index
from plimsoll.runtime.packages.simple_index import IndexFile, links_of

SIMPLE = "application/vnd.pypi.simple.v1+json"
Shape = TypeVar("Shape")


class _PythonProject(Struct, frozen=True):
    files: list[IndexFile]


class _Dist(Struct, frozen=True):
    tarball: str
    integrity: str = ""
    shasum: str = ""


class _NodePackage(Struct, frozen=True):
    dist: _Dist
    license: Any = ""  # Any: a text, or an object of older packages


def locate(package: Package, stopped: Stopped = lambda: False) -> Located:
    """The archive of a package. Raises TargetError for one that the registry does not have."""
    return {"pypi": _pypi, "npm": _npm, "maven": _maven}[package.registry](package, stopped)


def _pypi(package: Package, stopped: Stopped) -> Located:
    """A wheel, else the source archive. Source: PEP 691, and PEP 503 for an index that has only HTML."""
    index = f"{pypi_index()}/"
    url = urllib.parse.urljoin(index, f"{_normalised(package.name)}/")
    content = document(url, stopped, {"Accept": f"{SIMPLE}, text/html;q=0.5"})
    is_json = content.lstrip()[:1] == b"{"
    files = _decoded(content, _PythonProject, url).files if is_json else links_of(content)
    found = [each for each in files if _is_version(each.filename, package)]
    wheels = [each for each in found if each.filename.endswith(".whl")]
    sources = [each for each in found if each.filename.endswith((".tar.gz", ".zip"))]
    # A wheel for any machine has what the others have, and nothing that is built.
    wheels.sort(key=lambda each: not each.filename.endswith("-any.whl"))
    chosen = next(iter([*wheels, *sources]), None)
    if chosen is None:
        raise TargetError(
            f"the index has no archive of {package.name} {package.version}",
            where=url,
            hint="check the version; pip index versions lists those that there are",
            lasting=True,
        )
    digest = chosen.hashes.get("sha256", "")
    return Located(url=urllib.parse.urljoin(url, chosen.url), algorithm="sha256" if digest else "", digest=digest)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_version(filename: str, package: Package) -> bool:
    """Whether a file is of this version: NAME-VERSION-TAGS.whl, or NAME-VERSION.tar.gz."""
    if filename.endswith(".whl"):
        parts = filename.removesuffix(".whl").split("-")
        return len(parts) >= 5 and _normalised(parts[0]) == _normalised(package.name) and parts[1] == package.version
    base = filename.removesuffix(".tar.gz").removesuffix(".zip")
    name, _, version = base.rpartition("-")
    return _normalised(name) == _normalised(package.name) and version == package.version


def _npm(package: Package, stopped: Stopped) -> Located:
    url = f"{npm_registry()}/{urllib.parse.quote(package.name, safe='@')}/{urllib.parse.quote(package.version)}"
    found = _decoded(document(url, stopped), _NodePackage, url)
    licence = found.license if isinstance(found.license, str) else ""
    algorithm, _, encoded = found.dist.integrity.partition("-")
    try:
        digest = base64.b64decode(encoded.split()[0], validate=True).hex() if encoded else ""
    except (binascii.Error, IndexError):
        digest = ""
    if algorithm not in ("sha512", "sha256") or not digest:
        algorithm, digest = ("sha1", found.dist.shasum) if found.dist.shasum else ("", "")
    return Located(
        url=urllib.parse.urljoin(url, found.dist.tarball), algorithm=algorithm, digest=digest, licence=licence
    )


def _maven(package: Package, stopped: Stopped) -> Located:
    group, artifact = package.name.split(":")
    place = f"{maven_repository()}/{group.replace('.', '/')}/{artifact}/{package.version}"
    base = f"{place}/{artifact}-{package.version}"
    algorithm, digest = "", ""
    # Maven Central has all of them for new files, and only SHA-1 for old ones.
    for algorithm in ("sha256", "sha1"):
        try:
            text = document(f"{base}.jar.{algorithm}", stopped).decode("ascii", errors="replace").split()
        except TargetError as error:
            if not error.lasting:
                raise
            continue
        digest = text[0].lower() if text else ""
        break
    return Located(
        url=f"{base}.jar", algorithm=algorithm if digest else "", digest=digest, licence=_of_pom(f"{base}.pom", stopped)
    )


def _of_pom(url: str, stopped: Stopped) -> str:
    """The name of the licence in a package's description; empty without one."""
    try:
        text = document(url, stopped).decode("utf-8", errors="replace")
    except TargetError as error:
        if not error.lasting:
            raise
        return ""
    found = re.search(r"<license>(.{0,4000}?)</license>", text, re.DOTALL)
    name = re.search(r"<name>\s*([^<]{1,200}?)\s*</name>", found[1]) if found else None
    return name[1] if name else ""


def _decoded(content: bytes, shape: type[Shape], url: str) -> Shape:
    try:
        return msgspec.json.decode(content, type=shape)
    except UNREADABLE as error:
        hint = "check the address of the registry: it must answer in JSON"
        raise TargetError(f"the registry's answer cannot be read: {error}", where=url, hint=hint) from error
