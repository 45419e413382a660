"""Judges over records of a real cluster, and over what cheating and broken clusters would have recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plimsoll.capabilities.ai_inference.judge import SIGNIFICANCE, two_sided
from plimsoll.capabilities.facts import facts
from plimsoll.capabilities.probe import ROOMS, judge, probe_of
from plimsoll.evidence.observation import observed
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.recorded import Fact, Record, changed, recorded, with_values, without

FAIL, UNKNOWN, ENVIRONMENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR
Falsify = Callable[[Record], Record]


@pytest.mark.parametrize("name", ROOMS)
def test_a_real_cluster_that_can_do_it_passes_with_a_figure(name: str) -> None:
    verdict = judge(name, recorded(name))
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure


@pytest.mark.parametrize("name", ROOMS)
def test_a_record_that_was_broken_off_anywhere_never_passes(name: str) -> None:
    record = recorded(name)
    end = next(index for index, each in enumerate(record) if each.event == "ended")
    for length in range(end + 1):
        assert judge(name, record[:length]).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", ROOMS)
def test_a_record_without_its_facts_never_passes(name: str) -> None:
    record = recorded(name)
    assert judge(name, tuple(each for each in record if each.event in ("ended", "came"))).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", ROOMS)
def test_whatever_broke_off_is_an_environment_error(name: str) -> None:
    broken = (*recorded(name), observed("check", name, "broke-off", problem="the API server is gone", remedy="wait"))
    verdict = judge(name, broken)
    assert verdict.outcome is ENVIRONMENT
    assert verdict.cause == "the API server is gone"


def test_a_pass_that_was_written_into_a_record_is_none() -> None:
    forged = (observed("check", "gang_scheduling", "decided", outcome="pass", cause="", remedy=""),)
    assert judge("gang_scheduling", forged).outcome is UNKNOWN


def _opened(pod: str, container: str, device: int) -> Falsify:
    """Makes an attempt on a device of the holders succeed."""

    def change(fact: Fact) -> Fact:
        label = sorted(fact["tries"])[device]
        return {**fact, "tries": {**fact["tries"], label: "opened abc"}}

    return lambda record: changed(record, "tried", change, pod=pod, container=container)


def _all_refused(fact: Fact) -> Fact:
    return {**fact, "tries": dict.fromkeys(fact["tries"], "refused")}


def _everything_opens(fact: Fact) -> Fact:
    return {**fact, "tries": dict.fromkeys(fact["tries"], "opened abc")}


def _plain_files(fact: Fact) -> Fact:
    return {**fact, "devices": [{**each, "block": False, "character": False} for each in fact["devices"]]}


def _same_device(record: Record) -> Record:
    first = next(each.fact["devices"] for each in record if each.event == "held")
    return changed(record, "held", with_values(devices=first), way="device-plugin")


def _no_rise(record: Record) -> Record:
    idle = next(each.fact["series"] for each in record if each.event == "scraped")
    return changed(record, "scraped", with_values(series=idle), case="loaded")


def _values(value: object, *, case: str = "loaded") -> Falsify:
    def change(fact: Fact) -> Fact:
        return {
            **fact,
            "series": [{**each, "value": value} if each["utilization"] else each for each in fact["series"]],
        }

    return lambda record: changed(record, "scraped", change, case=case)


def _one_series(fact: Fact) -> Fact:
    return {**fact, "series": [{**each, "device": "all"} for each in fact["series"]]}


def _undeclared_too(fact: Fact) -> Fact:
    return {**fact, "found": [*fact["found"], {"who": "undeclared", "value": "1", "labels": []}]}


def _another_value(fact: Fact) -> Fact:
    return {**fact, "found": [{**each, "value": "10"} for each in fact["found"]]}


def _swapped(fact: Fact) -> Fact:
    names, counts = list(fact["answers"]), list(fact["answers"].values())
    return {**fact, "answers": dict(zip(names, reversed(counts), strict=True))}


def _one_answers_all(fact: Fact) -> Fact:
    return {**fact, "answers": {next(iter(fact["answers"])): 400}}


def _answered_by_backend(record: Record) -> Record:
    names = next(each.fact["names"] for each in record if each.event == "backends")
    return changed(record, "measured", with_values(answers={names[0]: 20}), case="nowhere")


def _replicas(position: int, ready: int) -> Falsify:
    def falsify(record: Record) -> Record:
        seen = -1

        def change(fact: Fact) -> Fact:
            nonlocal seen
            seen += 1
            return {**fact, "ready": ready} if seen == position else fact

        return changed(record, "replicas", change)

    return falsify


def _without_accelerators(fact: Fact) -> Fact:
    return {**fact, "pods": [{**pod, "accelerators": "0"} for pod in fact["pods"]]}


def case(event: str, change: Callable[[Fact], Fact | None], **where: object) -> Falsify:
    return lambda record: changed(record, event, change, **where)


GANG = "gang_scheduling"
TRAFFIC = "ai_inference"
ACCESS = "secure_accelerator_access"
SERVICE = "ai_service_metrics"
DEVICES = "accelerator_metrics"
SCALED = "pod_autoscaling"
NODES = "cluster_autoscaling"
OPERATOR = "robust_controller"

CHEATS: list[tuple[str, str, Falsify, Outcome]] = [
    (GANG, "half of a gang is bound", case("case", with_values(bound=1), case="waits"), FAIL),
    (GANG, "a suspended job never starts", case("case", with_values(all=False, bound=0), case="fits"), FAIL),
    (GANG, "a policy denies every pod, also the control", case("case", with_values(bound=0), case="control"), UNKNOWN),
    (
        GANG,
        "there was room for all, so waiting shows nothing",
        case("case", with_values(bound=2), case="control"),
        UNKNOWN,
    ),
    (
        GANG,
        "the gang never starts when there is room",
        case("case", with_values(all=False, bound=0), case="released"),
        FAIL,
    ),
    (GANG, "nobody says why it waits", case("case", with_values(reason=""), case="waits"), UNKNOWN),
    (GANG, "the control was left out", case("case", without, case="control"), UNKNOWN),
    (TRAFFIC, "weights are ignored", case("measured", _one_answers_all, case="weights-1"), FAIL),
    (TRAFFIC, "a changed weight is ignored", case("measured", _swapped, case="weights-2"), FAIL),
    (TRAFFIC, "the header is ignored", case("measured", with_values(answers={"x": 25, "y": 25}), case="header"), FAIL),
    (TRAFFIC, "the header's requests all fail", case("measured", with_values(answers={}), case="header"), FAIL),
    (TRAFFIC, "one backend answers whatever is asked", _answered_by_backend, FAIL),
    (
        TRAFFIC,
        "a page answers in place of the backends",
        case("measured", with_values(answers={"hello": 400}), case="weights-1"),
        FAIL,
    ),
    (TRAFFIC, "the gateway has no address", case("gateway", without), FAIL),
    (TRAFFIC, "backends never start", case("backends", with_values(ready=False)), ENVIRONMENT),
    (ACCESS, "a touched file stands for a device", case("held", _plain_files, way="device-plugin"), FAIL),
    (ACCESS, "a stranger opens a device", case("tried", _everything_opens, pod="device-plugin-without"), FAIL),
    (
        ACCESS,
        "a sibling opens the claim's device",
        case("tried", _everything_opens, pod="dra-holder-1", container="sibling"),
        FAIL,
    ),
    (
        ACCESS,
        "a holder opens the other's device",
        case("tried", _everything_opens, pod="dra-holder-2", container="main"),
        FAIL,
    ),
    (ACCESS, "both holders were given the same device", _same_device, FAIL),
    (ACCESS, "a policy forbids device nodes, also to holders", case("tried", _all_refused, container="main"), UNKNOWN),
    (ACCESS, "the holders ran on two nodes", case("held", with_values(node="elsewhere"), pod="dra-holder-1"), UNKNOWN),
    (ACCESS, "a holder sees nothing", case("held", with_values(devices=[]), pod="dra-holder-1"), ENVIRONMENT),
    (ACCESS, "the stranger tried nothing", case("tried", with_values(tries={}), pod="dra-without"), UNKNOWN),
    (DEVICES, "a static page", _no_rise, FAIL),
    (DEVICES, "all devices rise together", _values(0.9), FAIL),
    (DEVICES, "one series for all devices", case("scraped", _one_series, case="idle"), FAIL),
    (DEVICES, "a utilization of 5 of 1", _values(5.0), FAIL),
    (DEVICES, "a utilization that is no number", _values(None, case="idle"), FAIL),
    (DEVICES, "nobody serves metrics", lambda record: changed(record, "scraped", without), FAIL),
    (DEVICES, "the load held another device", case("loaded", with_values(devices=["nobody"])), UNKNOWN),
    (DEVICES, "hardware without a load", case("expected", with_values(loadable=False)), UNKNOWN),
    (SERVICE, "everything is collected, declared or not", case("collected", _undeclared_too), FAIL),
    (SERVICE, "a stub that always answers ten", case("collected", _another_value), FAIL),
    (SERVICE, "nothing is collected", case("collected", with_values(found=[])), FAIL),
    (SCALED, "the autoscaler read another value", case("read", with_values(value="10")), FAIL),
    (SCALED, "the autoscaler read nothing", case("read", with_values(value=None)), FAIL),
    (SCALED, "it never grows", _replicas(1, 1), FAIL),
    (SCALED, "it never shrinks", _replicas(2, 2), FAIL),
    (SCALED, "the pods hold no accelerator", case("replicas", _without_accelerators), UNKNOWN),
    (SCALED, "no pod starts", _replicas(0, 0), ENVIRONMENT),
    (NODES, "a node that is an object only", case("ran", with_values(log="")), FAIL),
    (NODES, "a pod that prints what it was told", case("ran", with_values(log="worked out 42 on node")), FAIL),
    (NODES, "the pod ran on an old node", case("ran", with_values(node="node-1")), FAIL),
    (NODES, "no node comes", lambda record: changed(record, "grown", with_values(nodes={})), FAIL),
    (NODES, "there was room all along", case("waiting", without), ENVIRONMENT),
    (
        OPERATOR,
        "everything is denied, also what is good",
        case("attempt", with_values(taken=False, message="no"), label="JobSet: twin"),
        FAIL,
    ),
    (OPERATOR, "a bad object is taken", case("attempt", with_values(taken=True), label="JobSet: bad"), FAIL),
    (
        OPERATOR,
        "another webhook refuses",
        case(
            "attempt", with_values(message='admission webhook "deny.all" denied the request: no'), label="JobSet: bad"
        ),
        UNKNOWN,
    ),
    (
        OPERATOR,
        "its webhook refuses without having looked",
        case(
            "attempt",
            with_values(message='admission webhook "vjobset.kb.io" denied the request: no'),
            label="JobSet: bad",
        ),
        UNKNOWN,
    ),
    (OPERATOR, "nothing is carried out", case("carried-out", with_values(done=False), label="JobSet: good"), FAIL),
    (OPERATOR, "it does not heal", case("healed", with_values(back=False), operator="JobSet"), FAIL),
    (OPERATOR, "there is no webhook", case("operator", with_values(hooks=[]), name="JobSet"), UNKNOWN),
]


def _first_operator_alone(record: Record) -> Record:
    """One good operator is enough: to judge the first, the second must not be there."""
    return tuple(each for each in record if each.fact.get("name") != "Kubeflow Trainer")


@pytest.mark.parametrize(
    ("name", "cheat", "falsify", "outcome"), CHEATS, ids=[f"{name}: {cheat}" for name, cheat, *_ in CHEATS]
)
def test_a_cheating_or_broken_cluster_does_not_pass(name: str, cheat: str, falsify: Falsify, outcome: Outcome) -> None:
    record = _first_operator_alone(recorded(name)) if name == OPERATOR else recorded(name)
    assert judge(name, record).outcome is Outcome.PASS, "the control: what is falsified did pass"
    verdict = judge(name, falsify(record))
    assert verdict.outcome is outcome, verdict
    assert verdict.cause


def test_a_node_that_stays_is_no_scaling_down() -> None:
    record = recorded(NODES)
    grown = next(each.fact["nodes"] for each in record if each.event == "grown")
    assert judge(NODES, changed(record, "shrunk", with_values(nodes=grown))).outcome is FAIL


@pytest.mark.parametrize(
    ("hits", "total", "share", "fits"),
    [
        (320, 400, 0.8, True),
        (300, 400, 0.8, True),
        (200, 400, 0.8, False),
        (400, 400, 0.8, False),
        (0, 400, 0.6, False),
    ],
)
def test_shares_are_judged_by_what_chance_allows(hits: int, total: int, share: float, fits: bool) -> None:
    assert (two_sided(hits, total, share) >= SIGNIFICANCE) is fits


def test_the_test_of_shares_is_a_probability() -> None:
    assert two_sided(5, 10, 0.5) == pytest.approx(1.0)
    # Both tails of a fair coin: 0, 1, 9 and 10 heads of ten.
    assert two_sided(1, 10, 0.5) == pytest.approx(22 / 1024)


def test_the_inventory_says_what_the_lab_has() -> None:
    found = facts(recorded("inventory"))
    assert found.version.startswith("v1.37")
    assert len(found.ready_nodes()) == 3
    assert {(each.resource or each.driver, each.count) for each in found.accelerators} == {
        ("plimsoll.dev/accelerator", 2),
        ("accelerator.plimsoll.dev", 3),
    }
    assert [each["name"] for each in found.gateway_classes] == ["lab"]
    assert found.unreadable == ()


@pytest.mark.parametrize("name", ROOMS)
def test_a_cluster_with_nothing_in_it_is_never_a_pass(name: str) -> None:
    empty = facts([each for each in recorded("inventory") if each.event in ("version", "cluster")])
    verdict = probe_of(name).obstacle(empty)
    assert verdict is not None
    assert verdict.outcome is not Outcome.PASS
    assert verdict.cause


def test_that_there_is_no_autoscaler_needs_evidence() -> None:
    record = [each for each in recorded("inventory") if each.event != "node-pool"]
    assert probe_of(NODES).obstacle(facts(record)).outcome is Outcome.NOT_APPLICABLE
    unread = [*record, observed("check", "inventory", "unreadable", what="deployments", status=403, message="no")]
    assert probe_of(NODES).obstacle(facts(unread)).outcome is UNKNOWN
    installed = {"kind": "Deployment", "namespace": "kube-system", "name": "cluster-autoscaler", "images": []}
    other = [each for each in record if each.event != "deployments"]
    other.append(observed("check", "inventory", "deployments", found=[installed]))
    assert probe_of(NODES).obstacle(facts(other)).outcome is UNKNOWN
