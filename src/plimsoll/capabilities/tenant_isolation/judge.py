"""The verdict from the answers to every attack, and from the controls beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from plimsoll.capabilities.records import Recorded
from plimsoll.capabilities.tenant_isolation.answers import Means, is_allowed, means, reached
from plimsoll.capabilities.tenant_isolation.attacks import (
    CONTROLS,
    IMAGES,
    LEAST,
    NETWORK,
    OBJECTS,
    PODS,
    QUOTA,
    REACHED,
    REQUESTS,
    RIGHTS,
    THIEF,
    TRIED,
    VOLUMES,
    WALLS,
)
from plimsoll.capabilities.tenant_isolation.records import (
    AFTER,
    ATTACKER,
    BEFORE,
    OWNER,
    Asked,
    LeftOut,
    SuiteBegan,
    Tried,
    Word,
)
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

_BY_ID = {each.id: each for each in REQUESTS}
_BY_POD = {each.id: each for each in TRIED}
_REMEDIES: Mapping[str, str] = {
    OBJECTS: "authorize by RBAC, and see which binding reaches every account or every service account",
    RIGHTS: "see which binding gives accounts of a namespace more than its role",
    PODS: "have the admission of Pod Security on, and no exemption for these namespaces",
    QUOTA: "have the admission of ResourceQuota on",
    IMAGES: "have ValidatingAdmissionPolicy on (Kubernetes 1.30), and no exemption for these namespaces",
    WALLS: "have ValidatingAdmissionPolicy on (Kubernetes 1.30), and no exemption for these namespaces",
    NETWORK: "use a network that enforces NetworkPolicy, inwards and outwards",
    VOLUMES: "see what mounts secrets of other namespaces into pods",
}
_SHOWN = 4
_MOUNTED = frozenset(each.id for each in TRIED if each.way == VOLUMES)


def judge(record: Recorded) -> Verdict:
    """Every way has to be held. One that is open fails; one that shows nothing leaves the verdict open."""
    suite = record.first(SuiteBegan)
    if suite is None:
        return unknown("no tenant was attacked")
    pods = {each.role: each for each in record.all(Tried)}
    word = record.first(Word)
    if word is None:
        return unknown("the record does not say what the victim had")
    if problem := _controls(suite, record.all(Asked), pods, word.digest):
        return problem
    asked = {each.attack: each for each in record.all(Asked) if each.by == ATTACKER and not each.when}
    found = {**_of_requests(suite, asked), **_of_pods(suite, pods)}
    left_out = {each.attack for each in record.all(LeftOut)}
    open_ways = [name for name, what in found.items() if what is Means.BROKEN]
    if open_ways:
        return _failed(open_ways, found)
    left = [name for name in (*suite.requests, *suite.pods) if found.get(name, Means.NOTHING) is Means.NOTHING]
    unclear = [name for name in left if name not in left_out or not _may_be_left_out(name)]
    if unclear:
        why = asked[unclear[0]].message[:160] if unclear[0] in asked else "it was not tried"
        return unknown(f"{len(unclear)} ways show nothing: {', '.join(unclear[:_SHOWN])}: {why}", "see the record")
    held = [name for name, what in found.items() if what is Means.HELD]
    if len(held) < LEAST:
        return unknown(f"only {len(held)} ways could be tried, at least {LEAST} are needed", "see what was left out")
    by_way = Counter(_way(name) for name in held)
    counted = ", ".join(f"{way} {count}" for way, count in by_way.items())
    more = f"; {len(left)} do not exist here" if left else ""
    return passed(f"{len(held)} of {len(held)} ways from one tenant to another are held ({counted}){more}")


def _way(name: str) -> str:
    return (_BY_ID.get(name) or _BY_POD[name]).way


def _may_be_left_out(name: str) -> bool:
    return name in _BY_ID and bool(_BY_ID[name].needs)


def _does(name: str) -> str:
    return (_BY_ID.get(name) or _BY_POD[name]).does


def _of_requests(suite: SuiteBegan, asked: Mapping[str, Asked]) -> dict[str, Means]:
    return {
        name: means(_BY_ID[name].way, asked[name].status, asked[name].message)
        for name in suite.requests
        if name in asked
    }


def _of_pods(suite: SuiteBegan, pods: Mapping[str, Tried]) -> dict[str, Means]:
    found = {}
    for name in suite.pods:
        said = pods[_BY_POD[name].role].said.get(name) if _BY_POD[name].role in pods else None
        if said is not None:
            found[name] = Means.BROKEN if reached(said) else Means.HELD
    return found


def _controls(suite: SuiteBegan, asked: Sequence[Asked], pods: Mapping[str, Tried], digest: str) -> Verdict | None:
    """What has to work, or else what did not work shows nothing."""
    by_attacker = {(each.attack, each.when): each for each in asked if each.by == ATTACKER}
    for control in CONTROLS:
        for when in (BEFORE, AFTER):
            found = by_attacker.get((control.id, when))
            if found is None or not 200 <= found.status < 300:
                told = f": {found.message[:200]}" if found is not None else ""
                return unknown(
                    f"the control failed: the attacker could not do what it may, {control.does} ({when}){told}",
                    "see what refuses it: its other refusals show nothing",
                )
    by_owner = {each.attack: each for each in asked if each.by == OWNER}
    for name in suite.requests:
        if not _BY_ID[name].owner or name in _left(asked, suite):
            continue
        found = by_owner.get(name)
        if found is None or not is_allowed(found.status):
            told = f": {found.message[:200]}" if found is not None else ""
            return unknown(
                f"the control failed: not even the victim's owner {_BY_ID[name].does}{told}", "see the record"
            )
    for role, ways in REACHED.items():
        for way in ways:
            said = pods[role].said.get(way, "") if role in pods else ""
            if not reached(said) or (way in _MOUNTED and digest not in said):
                return environment_error(
                    f"the control failed: the {role} did not reach what it may ({way}): {said or 'it did not run'}",
                    "see its log, and whether pods of this cluster reach each other at all",
                )
    return None


def _left(asked: Sequence[Asked], suite: SuiteBegan) -> set[str]:
    """Ways of which the attacker asked nothing: what needs no control."""
    return set(suite.requests) - {each.attack for each in asked if each.by == ATTACKER}


def _failed(open_ways: Sequence[str], found: Mapping[str, Means]) -> Verdict:
    named = "; ".join(f"the {_who(name)} {_does(name)}" for name in open_ways[:_SHOWN])
    more = f"; and {len(open_ways) - _SHOWN} more" if len(open_ways) > _SHOWN else ""
    ways = list(dict.fromkeys(_way(name) for name in open_ways))
    return failed(
        f"{len(open_ways)} of {len(found)} ways from one tenant to another are open: {', '.join(open_ways)}",
        f"tenants are not apart: {named}{more}",
        "; ".join(_remedies(ways)),
    )


def _who(name: str) -> str:
    return "attacker" if name in _BY_ID or _BY_POD[name].role == THIEF else "stranger"


def _remedies(ways: Sequence[str]) -> Iterator[str]:
    yield from dict.fromkeys(_REMEDIES[way] for way in ways)
