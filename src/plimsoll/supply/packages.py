"""The packages of a Python environment, from what its installer has left: no package is imported, nothing is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.application.licences import spdx_name
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError

MOST_PACKAGES = 20_000
MOST_METADATA = 4 << 20
_CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_LICENCE = 120


class Package(Struct, frozen=True, kw_only=True, order=True):
    """One installed package. `name` is normalized; `installed_from` is set when it did not come from an index.

    `archive` is the SHA-256 of what it was installed from, where the installer has recorded it; `record` that of the
    installer's list of files with their digests. `expression` says that the licence is an expression of SPDX.
    """

    name: str
    version: str
    licence: str = ""
    expression: bool = False
    archive: str = ""
    record: str = ""
    installed_from: str = ""

    @property
    def purl(self) -> str:
        """The package URL, which names it in bills of materials and advisories."""
        from urllib.parse import quote

        return f"pkg:pypi/{quote(self.name, safe='')}@{quote(self.version, safe='')}"


def normalized(name: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def site_packages(environment: Path) -> list[Path]:
    """The directories of an environment that have packages."""
    return [path for path in sorted(environment.glob("lib*/python*/site-packages")) if not path.is_symlink()]


def installed(directories: Iterable[Path]) -> tuple[Package, ...]:
    """The packages in directories such as site-packages, by name. Raises TargetError when one cannot be read."""
    found: dict[str, Package] = {}
    for directory in directories:
        try:
            names = [path for path in directory.iterdir() if path.suffix in (".dist-info", ".egg-info")]
        except OSError as error:
            raise TargetError(f"the packages cannot be read: {error.strerror}", where=str(directory)) from error
        if len(names) > MOST_PACKAGES:
            raise TargetError(f"there are more than {MOST_PACKAGES} packages", where=str(directory))
        for package in map(_package, map(Distribution.at, sorted(names))):
            # As for imports, the first directory counts.
            found.setdefault(package.name, package)
    return tuple(sorted(found.values()))


def _package(distribution: Distribution) -> Package:
    """A package whose metadata is damaged is listed without what cannot be told; it is never left out."""
    text = _text(distribution, "METADATA") or _text(distribution, "PKG-INFO")
    name, version = _field(text, "Name"), _field(text, "Version")
    if not name:
        stem = getattr(distribution, "_path", Path("unknown")).name.rpartition(".")[0]
        name, _, version = stem.partition("-")
    licence, expression = _licence(text)
    archive, origin = _direct(_text(distribution, "direct_url.json"))
    record = _text(distribution, "RECORD")
    return Package(
        name=normalized(name),
        version=version,
        licence=licence,
        expression=expression,
        archive=archive,
        record=hashlib.sha256(record.encode(errors="surrogateescape")).hexdigest() if record else "",
        installed_from=origin,
    )


def _text(distribution: Distribution, name: str) -> str:
    try:
        found = distribution.read_text(name) or ""
    except (OSError, UnicodeDecodeError):
        return ""
    return found[:MOST_METADATA]


def _fields(text: str, key: str) -> list[str]:
    """The values of a header of metadata, before the description begins."""
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    return [line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith(f"{key.lower()}:")]


def _field(text: str, key: str) -> str:
    return next(iter(_fields(text, key)), "")


def _licence(text: str) -> tuple[str, bool]:
    """The licence that the metadata gives, and whether it is an expression of SPDX."""
    if expression := _field(text, "License-Expression"):
        return expression, True
    stated = _field(text, "License")
    classified = [match[1] for each in _fields(text, "Classifier") if (match := _CLASSIFIER.fullmatch(each))]
    named = [spdx_name(each) for each in [stated, *classified] if each and each != "OSI Approved"]
    known = [name for name, said in zip(named, [stated, *classified], strict=False) if name != said]
    if known:
        return known[0], True
    short = [each for each in named if len(each) <= _LONGEST_LICENCE]
    return (short[0], False) if short else ("", False)


def _direct(text: str) -> tuple[str, str]:
    """The SHA-256 of the archive, and the address, of a package that came from no index."""
    if not text:
        return "", ""
    try:
        document = msgspec.json.decode(text)
        # The query or the user of an address may let whoever has it in.
        url = re.sub(r"//[^/@]*@", "//", str(document.get("url", ""))).partition("?")[0]
        hashes = document.get("archive_info", {}).get("hashes", {})
        digest = str(hashes.get("sha256", ""))
    except (*UNREADABLE, AttributeError):
        return "", "an address that cannot be read"
    return (digest if _SHA256.fullmatch(digest) else ""), url or "an address that is not told"
