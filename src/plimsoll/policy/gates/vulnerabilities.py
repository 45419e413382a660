"""No package of the environment has a vulnerability that is worse than the file allows, as far as advisories know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plimsoll.application.policies import CHAIN, Most, Policies, Vulnerabilities
from plimsoll.policy.facts import EnvironmentFacts, Facts, PackageFacts, VulnerabilityFacts
from plimsoll.policy.findings import Judged, Verdict

GATE = "vulnerabilities"
_RANK: Mapping[Most, int] = {"none": 0, "low": 1, "medium": 2, "high": 3, "critical": 4}
MOST_NAMED = 8
"""Packages that one finding names."""
_Said = tuple[Verdict, str, str]
_SETTING = ".".join(CHAIN[1:])


def vulnerabilities(policies: Policies, facts: Facts) -> Iterator[Judged]:
    """Judge each package of the environment that commands run with."""
    wanted, environment = policies.chain.vulnerabilities, facts.environment
    if wanted is None or environment is None:
        return
    if environment.packages is None:
        yield _unread(environment)
        return
    passed = 0
    alike: dict[_Said, list[str]] = {}
    for package in environment.packages:
        found = [*_of_package(package, wanted)]
        passed += not found
        for said in found:
            alike.setdefault(said, []).append(f"{package.name} {package.version}".strip())
    for (verdict, reason, remedy), names in alike.items():
        about = f"{_listed(names)} of {environment.name}"
        where = environment.place if verdict != "passed" else ""
        yield Judged(gate=GATE, about=about, verdict=verdict, reason=reason, remedy=remedy, where=where)
    if passed or not environment.packages:
        reason = f"{passed} of {len(environment.packages)} packages have no vulnerability that the database knows"
        yield Judged(gate=GATE, about=environment.name, verdict="passed", reason=reason)


def _listed(names: list[str]) -> str:
    """The packages of which the same is to be said."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _unread(environment: EnvironmentFacts) -> Judged:
    """Packages that are not known: those of an environment that a step makes are judged once it has."""
    return Judged(
        gate=GATE,
        about=environment.name,
        verdict="later" if environment.until else "unknown",
        reason=f"judged after {environment.until}" if environment.until else environment.gap,
        remedy=""
        if environment.until
        else "name `requirements` in spec.environment, whose packages are read, or remove the policy",
        where=environment.place,
    )


def _of_package(package: PackageFacts, wanted: Vulnerabilities) -> Iterator[_Said]:
    """What is to be said of a package; nothing of one that is clean."""
    for each in package.vulnerabilities:
        yield _of_vulnerability(package, each, wanted)
    if package.verdict in ("clean", "vulnerable"):
        return
    said = "; ".join(package.reasons) or "nothing is known of it"
    if reason := wanted.accepted.get(package.name):
        yield "passed", f"{said}; accepted: {reason}", ""
        return
    remedy = (
        f"bring a database that knows it; if yours has every advisory, set `complete: true` in {_SETTING}; what is your"
        " own is accepted by its name, with your reason"
    )
    yield "unknown", said, remedy


def _of_vulnerability(package: PackageFacts, found: VulnerabilityFacts, wanted: Vulnerabilities) -> _Said:
    said = f"{found.id}, {found.severity}{': ' + found.summary if found.summary else ''}"
    if reason := next((wanted.accepted[name] for name in (found.id, *found.aliases) if name in wanted.accepted), None):
        return "passed", f"{said}; accepted: {reason}", ""
    fixed = f"use {package.name} {' or '.join(found.fixed)}" if found.fixed else f"leave {package.name} out"
    remedy = f"{fixed}; or accept {found.id} with your reason in {_SETTING}.vulnerabilities.accepted"
    if found.severity == "not told":
        # It may be the worst.
        return ("passed", said, "") if wanted.most == "critical" else ("unknown", said, remedy)
    if _RANK[found.severity] <= _RANK[wanted.most]:
        return "passed", f"{said}; up to {wanted.most} is allowed", ""
    return "broken", said, remedy
