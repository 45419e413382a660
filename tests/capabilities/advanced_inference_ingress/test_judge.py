"""Routing by a picker, over a record of the lab, and over what other gateways would have recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plimsoll.capabilities.advanced_inference_ingress.judge import ALONE, PAST, PICKED
from plimsoll.capabilities.probe import judge, probe_of
from plimsoll.evidence.observation import observed
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.recorded import Fact, Record, changed, recorded, with_values, without

POOLS = "advanced_inference_ingress"
FAIL, UNKNOWN, ENVIRONMENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR


def measured(case: str, change: Callable[[Fact], Fact | None]) -> Callable[[Record], Record]:
    return lambda record: changed(record, "measured", change, case=case)


def by_turns(fact: Fact) -> Fact:
    return {**fact, "answers": dict.fromkeys(fact["arrived"], fact["asked"] // 2)}


def by_the_other(fact: Fact) -> Fact:
    other = next(name for name in fact["arrived"] if name != fact["server"])
    return {**fact, "server": fact["server"], "answers": {other: fact["asked"]}}


def one_astray(fact: Fact) -> Fact:
    other = next(name for name in fact["arrived"] if name != fact["server"])
    return {**fact, "answers": {fact["server"]: fact["asked"] - 1, other: 1}}


def by_itself(fact: Fact) -> Fact:
    return {**fact, "arrived": dict.fromkeys(fact["arrived"], 0)}


def by_one_server(fact: Fact) -> Fact:
    return {**fact, "answers": {next(iter(fact["arrived"])): fact["asked"]}}


def no_gateway(record: Record) -> Record:
    refused = observed("check", POOLS, "refused", gateway="gateway-lab", said="InvalidKind: no such backend")
    return (refused, *changed(changed(record, "gateway", without), "measured", without))


CHEATS: list[tuple[str, Callable[[Record], Record], Outcome]] = [
    *((f"{case}: a Service in the pool's place", measured(case, by_turns), FAIL) for case in PICKED),
    *((f"{case}: always the same server", measured(case, by_the_other), FAIL) for case in PICKED),
    *((f"{case}: one request goes astray", measured(case, one_astray), FAIL) for case in PICKED),
    *((f"{case}: something else answers", measured(case, by_itself), FAIL) for case in PICKED),
    *((f"{case}: refused", measured(case, with_values(answers={"503": 30})), FAIL) for case in PICKED),
    *((f"{case}: never asked", measured(case, without), UNKNOWN) for case in (*PICKED, PAST, ALONE)),
    ("past the pool one server gets everything too", measured(PAST, by_one_server), UNKNOWN),
    ("answers without a picker", measured(ALONE, by_turns), FAIL),
    ("requests arrive without a picker", measured(ALONE, lambda fact: {**fact, "arrived": {"server": 1}}), FAIL),
    ("no gateway takes a pool", no_gateway, FAIL),
    (
        "the picker does not start",
        lambda record: changed(record, "servers", with_values(ready=False)),
        ENVIRONMENT,
    ),
]


@pytest.mark.parametrize(("words", "falsify", "outcome"), CHEATS, ids=[each[0] for each in CHEATS])
def test_what_another_gateway_would_have_recorded_does_not_pass(
    words: str, falsify: Callable[[Record], Record], outcome: Outcome
) -> None:
    verdict = judge(POOLS, falsify(recorded(POOLS)))
    assert verdict.outcome is outcome, (words, verdict)
    assert verdict.cause


def test_a_gateway_that_takes_no_pool_is_quoted() -> None:
    assert "InvalidKind: no such backend" in judge(POOLS, no_gateway(recorded(POOLS))).cause


def test_without_pools_or_a_gateway_it_is_not_implemented_before_anything_is_made() -> None:
    from plimsoll.capabilities.facts import cluster_facts

    def cluster(served: list[str], *more: Any) -> Any:
        return cluster_facts((observed("check", "inventory", "served", versions=served), *more))

    gateway = observed("check", "inventory", "gateway-class", name="lab", controller="x", accepted=True)
    pools = ["inference.networking.k8s.io/v1"]
    obstacle = probe_of(POOLS).obstacle
    for found in (cluster([], gateway), cluster(pools), cluster(["inference.networking.x-k8s.io/v1alpha2"], gateway)):
        decided = obstacle(found)
        assert decided is not None
        assert decided.outcome is Outcome.NOT_IMPLEMENTED
    assert obstacle(cluster(pools, gateway)) is None
