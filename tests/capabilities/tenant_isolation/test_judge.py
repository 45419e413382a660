"""A record of tenants that are apart, falsified as a cheating or broken cluster would have written it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from plimsoll.capabilities.probe import judge
from plimsoll.capabilities.tenant_isolation.answers import Means, means
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
    TRIED,
    VOLUMES,
    WALLS,
)
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.tenants import tenants
from tests.capabilities.recorded import Fact, Record, changed, with_values, without

ISOLATION = "tenant_isolation"
FAIL, UNKNOWN, ENVIRONMENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR


def says(way: str, words: str) -> Callable[[Fact], Fact]:
    return lambda fact: {**fact, "said": {**fact["said"], way: words}}


def silent(way: str) -> Callable[[Fact], Fact]:
    return lambda fact: {**fact, "said": {key: value for key, value in fact["said"].items() if key != way}}


def falsified(record: Record) -> Iterator[tuple[str, Record, Outcome]]:
    """Each falsification with what it is and the outcome that it has to get."""

    def asked(by: str, attack: str, change: Callable[[Fact], Fact | None], **where: object) -> Record:
        return changed(record, "asked", change, by=by, attack=attack, **where)

    def tried(role: str, change: Callable[[Fact], Fact | None]) -> Record:
        return changed(record, "tried-by-pod", change, role=role)

    for way in ("secret", "exec", "binds", "host-path", "too-much", "others-image", "wall-down", "audit"):
        yield f"{way} is let through", asked("attacker", way, with_values(status=200, message="")), FAIL
        yield f"{way} was not tried", asked("attacker", way, without), UNKNOWN
        yield f"{way} met nothing", asked("attacker", way, with_values(status=404, message="not found")), UNKNOWN
        yield f"{way} met a server that is broken", asked("attacker", way, with_values(status=500)), UNKNOWN
    yield "a refusal for its form alone", asked("attacker", "exec", with_values(status=400)), FAIL
    yield "the owner is refused too", asked("owner", "secret", with_values(status=403)), UNKNOWN
    yield "the owner was not asked", asked("owner", "secret", without), UNKNOWN
    yield "the attacker may nothing", asked("attacker", "own-pod", with_values(status=403), when="before"), UNKNOWN
    yield "the attacker's token ran out", asked("attacker", "own-pods", with_values(status=401), when="after"), UNKNOWN
    yield "nobody looked afterwards", asked("attacker", "own-pods", without, when="after"), UNKNOWN
    yield "the thief reaches the victim", tried("thief", says("thief-to-name", "reached till")), FAIL
    yield "the stranger reaches the victim", tried("stranger", says("stranger-to-pod", "reached till")), FAIL
    yield "the thief reads a secret", tried("thief", says("secret-volume", "reached 0123")), FAIL
    yield "the thief was cut off", tried("thief", silent("thief-to-pod")), UNKNOWN
    yield "the thief did not run", tried("thief", without), ENVIRONMENT
    yield "nobody reaches the victim", tried("mate", says("mate-to-pod", "refused curl 28")), ENVIRONMENT
    yield "the owner reads another word", tried("mate", says("secret-volume", "reached 0123")), ENVIRONMENT
    yield "nothing is reached at all", tried("stranger", says("outside", "refused curl 28")), ENVIRONMENT
    yield "the word was left out", changed(record, "word", without), UNKNOWN
    yield "the suite was left out", changed(record, "suite", without), UNKNOWN
    few = with_values(requests=["secret", "secrets"], pods=[])
    yield "a suite of a few", changed(record, "suite", few), UNKNOWN
    yield "a suite of ways that nobody knows", changed(record, "suite", with_values(requests=["magic"])), UNKNOWN
    gone = changed(asked("attacker", "secret", without), "left-out", with_values(attack="secret"), attack="usage")
    yield "a way that every cluster has was left out", gone, UNKNOWN


@pytest.mark.slow
def test_a_falsified_record_of_tenants_never_passes(scene: Scene) -> None:
    tenants(scene)
    assert scene.check(ISOLATION).outcome is Outcome.PASS, "control"
    record = scene.record(ISOLATION)
    for words, altered, outcome in falsified(record):
        verdict = judge(ISOLATION, altered)
        assert verdict.outcome is outcome, (words, verdict)
        assert verdict.cause, words
    end = next(index for index, each in enumerate(record) if each.event == "ended")
    for length in range(0, end + 1, 7):
        assert judge(ISOLATION, record[:length]).outcome is not Outcome.PASS
    for number, each in enumerate(record):
        for key in set(each.fact) - {"event"}:
            spoilt = msgspec.structs.replace(each, fact={**each.fact, key: {"of": ["another", "kind"]}})
            verdict = judge(ISOLATION, (*record[:number], spoilt, *record[number + 1 :]))
            assert verdict.outcome is not Outcome.PASS or each.event in ("applied",), (each.event, key)


def test_every_way_has_a_name_of_its_own_and_something_that_has_to_hold_it() -> None:
    names = [*(each.id for each in (*REQUESTS, *CONTROLS)), *(each.id for each in TRIED)]
    assert len(names) == len(set(names))
    ways = {each.way for each in REQUESTS} | {each.way for each in TRIED}
    assert ways == {OBJECTS, RIGHTS, PODS, QUOTA, IMAGES, WALLS, NETWORK, VOLUMES}
    assert len(REQUESTS) + len(TRIED) >= 2 * LEAST
    assert set(REACHED) == {"thief", "mate", "stranger"}


def test_whatever_would_change_something_is_a_dry_run() -> None:
    for each in (*REQUESTS, *CONTROLS):
        if each.method != "GET":
            assert each.parameters.get("dryRun") == "All", each.id


def test_every_way_leads_to_the_victim_the_cluster_or_out_of_the_attacker_s_own() -> None:
    for each in REQUESTS:
        own, theirs = "{a}" in each.path, "{b}" in each.path
        assert own != theirs or not (own or theirs), each.id
        assert not re.findall(r"\{(?!a\}|b\}|node\})", each.path), each.id
        assert theirs or each.way != OBJECTS or each.id.endswith("-of-all"), each.id


@pytest.mark.parametrize(
    ("way", "status", "message", "meant"),
    [
        (OBJECTS, 403, 'User "x" cannot get resource "secrets"', Means.HELD),
        (PODS, 403, 'violates PodSecurity "restricted:latest"', Means.HELD),
        (PODS, 403, 'failed calling webhook "x": connection refused', Means.NOTHING),
        (PODS, 403, "unable to create new content in namespace a because it is being terminated", Means.NOTHING),
        (OBJECTS, 200, "", Means.BROKEN),
        (OBJECTS, 409, "already exists", Means.BROKEN),
        (PODS, 422, "Invalid value", Means.NOTHING),
        (OBJECTS, 401, "Unauthorized", Means.NOTHING),
        (OBJECTS, 404, "not found", Means.NOTHING),
        (OBJECTS, 429, "too many requests", Means.NOTHING),
        (OBJECTS, 500, "", Means.NOTHING),
        (OBJECTS, 0, "", Means.NOTHING),
    ],
)
def test_only_a_refusal_holds_and_only_an_answer_breaks(way: str, status: int, message: str, meant: Means) -> None:
    assert means(way, status, message) is meant


def test_the_page_of_tenants_names_the_table_that_there_is() -> None:
    root = Path(__file__).parents[3]
    assert "capabilities/tenant_isolation/attacks.py" in (root / "docs" / "tenants.md").read_text()
    assert (root / "src/plimsoll/capabilities/tenant_isolation/attacks.py").is_file()
