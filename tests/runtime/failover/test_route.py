"""The route of a service that fails over: what is changed of it, and what is left as it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.failover import route
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.failover import ALL

FRONT = "shop-api-failover"
TOLD = {"since": "2026-11-30T12:00:00Z", "why": "connection refused"}


def standing(weights: dict[str, int], own: dict[str, int] | None = None, told: str = "") -> dict[str, Any]:
    annotations = {route.OWN_WEIGHTS: json.dumps(own or {"shop-api": 100})} | (
        {route.FAILED_OVER: told} if told else {}
    )
    metadata = {"name": "shop-api", "resourceVersion": "7", "annotations": annotations}
    filters = [{"type": "URLRewrite"}]
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    return {"metadata": metadata, "spec": {"rules": [{"filters": filters, "backendRefs": backends}]}}


def weights(change: dict[str, Any] | None) -> dict[str, int]:
    assert change is not None
    (rule,) = change["spec"]["rules"]
    assert rule["filters"] == [{"type": "URLRewrite"}]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def test_the_words_on_a_route_are_those_that_are_applied() -> None:
    assert (route.OWN_WEIGHTS, route.FAILED_OVER, route.ALL) == (names.OWN_WEIGHTS, names.FAILED_OVER, ALL)


def test_requests_that_go_over_have_all_weight_there_and_say_since_when_and_why() -> None:
    change = route.change(standing({"shop-api": 100, FRONT: 0}), FRONT, TOLD)
    assert weights(change) == {"shop-api": 0, FRONT: 100}
    assert change is not None
    assert json.loads(change["metadata"]["annotations"][route.FAILED_OVER]) == TOLD
    assert change["metadata"]["resourceVersion"] == "7"


def test_requests_that_come_back_have_the_shares_of_versions_that_they_had() -> None:
    own = {"shop-api-v1": 90, "shop-api-v2": 10}
    change = route.change(
        standing({"shop-api-v1": 0, "shop-api-v2": 0, FRONT: 100}, own, json.dumps(TOLD)), FRONT, None
    )
    assert weights(change) == {**own, FRONT: 0}
    assert change is not None
    assert change["metadata"]["annotations"] == {route.FAILED_OVER: None}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (standing({"shop-api": 100, FRONT: 0}), None),
        (standing({"shop-api": 0, FRONT: 100}, told=json.dumps(TOLD)), {"since": "later", "why": "another"}),
    ],
)
def test_a_route_that_stands_as_it_should_is_not_written(found: dict[str, Any], told: dict[str, str] | None) -> None:
    assert route.change(found, FRONT, told) is None


def test_a_route_that_was_applied_meanwhile_leads_to_the_standby_again_since_the_same_time() -> None:
    change = route.change(standing({"shop-api": 100, FRONT: 0}, told=json.dumps(TOLD)), FRONT, {"since": "later"})
    assert weights(change) == {"shop-api": 0, FRONT: 100}
    assert change is not None
    assert json.loads(change["metadata"]["annotations"][route.FAILED_OVER]) == TOLD


@pytest.mark.parametrize(
    ("weights", "told", "leads"),
    [((0, 100), True, True), ((100, 0), False, False), ((100, 0), True, False), ((0, 100), False, False)],
)
def test_where_requests_go_is_read_from_weights_and_words_together(
    weights: tuple[int, int], told: bool, leads: bool
) -> None:
    own, over = weights
    assert route.leads(standing({"shop-api": own, FRONT: over}, told=json.dumps(TOLD) if told else ""), FRONT) == leads


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (standing({"shop-api": 1}), "does not lead to the standby"),
        ({"metadata": {"name": "shop-api"}, "spec": {"rules": [{"backendRefs": [{"name": FRONT}]}]}}, "no annotation"),
    ],
)
def test_a_route_that_knows_no_standby_is_left_alone_and_says_why(found: dict[str, Any], words: str) -> None:
    with pytest.raises(TargetError, match=words):
        route.change(found, FRONT, TOLD)
