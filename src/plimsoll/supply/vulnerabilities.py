"""Packages against a database of advisories: clean, vulnerable or unknown, and never a pass by silence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.supply.findings import Finding
from plimsoll.supply.packages import Package, normalized
from plimsoll.supply.severity import Severity, worst
from plimsoll.supply.version_ranges import Undecidable, is_affected

if TYPE_CHECKING:
    from plimsoll.supply.advisories import Advisory, Database

NO_DATABASE = "there is no database of advisories to look it up in: --database"


class Vulnerability(Struct, frozen=True, kw_only=True):
    """One vulnerability of one package, under all of its names."""

    id: str
    aliases: tuple[str, ...]
    severity: Severity
    summary: str
    fixed: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The vulnerability in one line."""
        others = f" ({', '.join(self.aliases)})" if self.aliases else ""
        mended = f"; fixed in {', '.join(self.fixed)}" if self.fixed else "; no version is known that mends it"
        return f"{self.id}{others}, {self.severity}: {self.summary or 'no summary'}{mended}"


class Scanned(Struct, frozen=True, kw_only=True):
    """A package and what the database says of it."""

    package: Package
    finding: Finding
    vulnerabilities: tuple[Vulnerability, ...] = ()

    @property
    def severity(self) -> Severity | None:
        """The worst severity; None without a vulnerability. One that nobody has told may be the worst."""
        found = {each.severity for each in self.vulnerabilities}
        return None if not found else "not told" if "not told" in found else worst(found)


def scan_packages(
    packages: Iterable[Package], database: Database | None, *, complete: bool = False
) -> tuple[Scanned, ...]:
    """Look each package up. `complete` says that the database has all advisories of the index, so that a package that
    came from there and that no advisory names is clean; otherwise it is unknown."""
    return tuple(_scanned(package, database, complete=complete) for package in packages)


def _scanned(package: Package, database: Database | None, *, complete: bool) -> Scanned:
    what = f"{package.name} {package.version}".strip()
    if database is None:
        return Scanned(package=package, finding=Finding(what=what, verdict="unknown", reasons=(NO_DATABASE,)))
    doubts: list[str] = []
    hits: list[Advisory] = []
    about = database.by_package.get(normalized(package.name), ())
    for advisory in about:
        try:
            if is_affected(package.version, advisory.versions, advisory.ranges):
                hits.append(advisory)
        except Undecidable as error:
            doubts.append(f"{advisory.id} may concern it: {error}")
    found = _merged(hits)
    if found:
        reasons = tuple(each.sentence() for each in found)
        finding = Finding(what=what, verdict="vulnerable", reasons=(*reasons, *doubts))
        return Scanned(package=package, finding=finding, vulnerabilities=found)
    doubts += _unknown(package, is_named=bool(about), database=database, complete=complete)
    verdict = Finding(what=what, verdict="unknown" if doubts else "clean", reasons=tuple(doubts))
    return Scanned(package=package, finding=verdict)


def _unknown(package: Package, *, is_named: bool, database: Database, complete: bool) -> list[str]:
    """Why a package of which no advisory is known is not clean all the same."""
    if package.installed_from:
        return [f"it was installed from {package.installed_from}, of which no advisory tells"]
    if not package.version:
        return ["its version is not known"]
    if database.unreadable:
        return [f"{len(database.unreadable)} files of the database cannot be read, and may be about it"]
    if is_named or complete:
        return []
    return ["the database has no word about it; if it has every advisory of the index, say so: --complete"]


def _merged(hits: Iterable[Advisory]) -> tuple[Vulnerability, ...]:
    """One vulnerability for all advisories that share a name, directly or over others."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in hits:
        names, members = {advisory.id, *advisory.aliases}, [advisory]
        apart = []
        for other_names, others in groups:
            if names & other_names:
                names |= other_names
                members = [*others, *members]
            else:
                apart.append((other_names, others))
        groups = [*apart, (names, members)]
    return tuple(sorted((_vulnerability(names, members) for names, members in groups), key=lambda each: each.id))


def _vulnerability(names: set[str], members: list[Advisory]) -> Vulnerability:
    first = min((each.id for each in members), key=_preference)
    return Vulnerability(
        id=first,
        aliases=tuple(sorted(names - {first})),
        severity=worst(each.severity for each in members),
        summary=next((each.summary for each in members if each.summary), ""),
        fixed=tuple(sorted({text for each in members for _, events in each.ranges for text in _fixed(events)})),
    )


def _preference(name: str) -> tuple[int, str]:
    order: Mapping[str, int] = {"GHSA": 0, "PYSEC": 1, "CVE": 2}
    return order.get(name.partition("-")[0], 3), name


def _fixed(events: Iterable[Mapping[str, str]]) -> list[str]:
    return [event["fixed"] for event in events if "fixed" in event]
