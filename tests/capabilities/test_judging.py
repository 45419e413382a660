"""Judges over records of a real cluster, and over what cheating and broken clusters would have recorded."""

from __future__ import annotations

import pytest

from plimsoll.capabilities.ai_inference.judge import SIGNIFICANCE, two_sided
from plimsoll.capabilities.facts import cluster_facts
from plimsoll.capabilities.probe import ROOMS, SLOW, judge, probe_of
from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.verdict import Outcome
from tests.capabilities.falsified import CHEATS
from tests.capabilities.falsified_workloads import GANG, NODES
from tests.capabilities.falsifying import ENVIRONMENT, FAIL, UNKNOWN, Falsify
from tests.capabilities.recorded import FOLDER, changed, recorded, with_values

# Rooms that look things up and try nothing have no record.
RECORDED = [name for name in ROOMS if (FOLDER / f"{name}.jsonl").exists()]
LOOKED_UP = [name for name in ROOMS if name not in RECORDED]


@pytest.mark.parametrize("name", RECORDED)
def test_a_real_cluster_that_can_do_it_passes_with_a_figure(name: str) -> None:
    verdict = judge(name, recorded(name))
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_that_was_broken_off_anywhere_never_passes(name: str) -> None:
    record = recorded(name)
    end = next(index for index, each in enumerate(record) if each.event == "ended")
    for length in range(end + 1):
        assert judge(name, record[:length]).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", RECORDED)
def test_a_record_without_its_facts_never_passes(name: str) -> None:
    record = recorded(name)
    assert judge(name, tuple(each for each in record if each.event in ("ended", "came"))).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", RECORDED)
def test_whatever_broke_off_is_an_environment_error(name: str) -> None:
    broken = (*recorded(name), observed("check", name, "broke-off", problem="the API server is gone", remedy="wait"))
    verdict = judge(name, broken)
    assert verdict.outcome is ENVIRONMENT
    assert verdict.cause == "the API server is gone"


def test_the_rooms_without_a_record_are_those_that_try_nothing() -> None:
    tried = {"high_performance_networking", "disaggregated_inference"}
    assert tried <= set(LOOKED_UP)
    for name in tried:
        ended = (observed("check", name, "ended"),)
        assert judge(name, ended).outcome is UNKNOWN
        assert probe_of(name).obstacle(cluster_facts(recorded("inventory"))) is not None


def test_a_failure_on_a_cluster_that_is_too_busy_is_an_environment_error() -> None:
    failing = changed(recorded(GANG), "case", with_values(bound=1), case="waits")
    calm = (*failing, observed("check", GANG, "pace", seconds=SLOW - 1))
    busy = (*failing, observed("check", GANG, "pace", seconds=SLOW + 1))
    assert judge(GANG, calm).outcome is FAIL
    assert judge(GANG, busy).outcome is ENVIRONMENT
    passing = (*recorded(GANG), observed("check", GANG, "pace", seconds=SLOW + 1))
    assert judge(GANG, passing).outcome is Outcome.PASS


def test_a_pass_that_was_written_into_a_record_is_none() -> None:
    forged = (observed("check", "gang_scheduling", "decided", outcome="pass", cause="", remedy=""),)
    assert judge("gang_scheduling", forged).outcome is UNKNOWN


FALSIFIED = [each for each in CHEATS if each[0] in RECORDED]


@pytest.mark.parametrize(
    ("name", "cheat", "falsify", "outcome"), FALSIFIED, ids=[f"{name}: {cheat}" for name, cheat, *_ in FALSIFIED]
)
def test_a_cheating_or_broken_cluster_does_not_pass(name: str, cheat: str, falsify: Falsify, outcome: Outcome) -> None:
    record = recorded(name)
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
    found = cluster_facts(recorded("inventory"))
    assert found.version.startswith("v1.37")
    assert len(found.ready_nodes()) == 3
    assert {(each.resource or each.driver, each.count) for each in found.accelerators} == {
        ("plimsoll.dev/accelerator", 2),
        ("accelerator.plimsoll.dev", 3),
    }
    assert [each.name for each in found.gateway_classes] == ["lab"]
    assert found.unreadable == ()


@pytest.mark.parametrize("name", ROOMS)
def test_a_cluster_with_nothing_in_it_is_never_a_pass(name: str) -> None:
    empty = cluster_facts([each for each in recorded("inventory") if each.event in ("version", "cluster")])
    verdict = probe_of(name).obstacle(empty)
    assert verdict is not None
    assert verdict.outcome is not Outcome.PASS
    assert verdict.cause


def obstacle_outcome(record: list[Observation]) -> Outcome:
    verdict = probe_of(NODES).obstacle(cluster_facts(record))
    assert verdict is not None
    return verdict.outcome


def test_that_there_is_no_autoscaler_needs_evidence() -> None:
    record = [each for each in recorded("inventory") if each.event != "node-pool"]
    assert obstacle_outcome(record) is Outcome.NOT_APPLICABLE
    unread = [*record, observed("check", "inventory", "unreadable", what="deployments", status=403, message="no")]
    assert obstacle_outcome(unread) is UNKNOWN
    installed = {"kind": "Deployment", "namespace": "kube-system", "name": "cluster-autoscaler", "images": []}
    other = [each for each in record if each.event != "deployments"]
    other.append(observed("check", "inventory", "deployments", found=[installed]))
    assert obstacle_outcome(other) is UNKNOWN


@pytest.mark.parametrize("name", ["workload_sandboxing", "gpu_sharing", "advanced_inference_ingress"])
def test_a_should_without_anything_installed_is_not_implemented_and_no_failure(name: str) -> None:
    gone = ("runtime-class", "gateway-class", "device-class", *(["node"] if name == "gpu_sharing" else []))
    bare = [each for each in recorded("inventory") if each.event not in gone]
    verdict = probe_of(name).obstacle(cluster_facts(bare))
    assert verdict is not None
    assert (verdict.outcome, bool(verdict.cause), bool(verdict.remedy)) == (Outcome.NOT_IMPLEMENTED, True, True)
