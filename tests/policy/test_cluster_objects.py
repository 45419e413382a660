from __future__ import annotations

import pytest

from plimsoll.policy.facts import Facts, ObjectFacts
from plimsoll.policy.gates.table import judge

from .cluster_objects import CHEATS, FINE, KINDS, POLICIES, Object, cheated, fine, pod, pod_spec, workload


def broken(document: Object) -> set[str]:
    facts = Facts(objects=(ObjectFacts(place="deploy.yaml:3:1", object=document),))
    found = judge(POLICIES, facts)
    assert {each.verdict for each in found} <= {"passed", "broken"}
    return {each.gate for each in found if each.verdict == "broken"}


@pytest.mark.parametrize("name", CHEATS)
def test_each_way_around_a_rule_is_found_in_a_pod_and_in_what_makes_pods(name: str) -> None:
    spec, rules = cheated(name)
    assert broken(pod(spec)) == rules
    for kind in KINDS:
        assert broken(workload(kind, spec)) == rules


@pytest.mark.parametrize("name", FINE)
def test_what_keeps_the_rules_passes(name: str) -> None:
    assert broken(pod(fine(name))) == set()


def test_kinds_that_nobody_knows_are_looked_through() -> None:
    spec, rules = cheated("a path of the node")
    own = {"apiVersion": "own.example/v1", "kind": "Own", "spec": {"deep": [{"er": {"podTemplate": {"spec": spec}}}]}}
    assert broken(own) == rules


def test_a_finding_names_the_object_its_place_and_the_container() -> None:
    spec, _ = cheated("an init container")
    facts = Facts(objects=(ObjectFacts(place="deploy.yaml:3:1", object=workload("CronJob", spec)),))
    (found,) = [each for each in judge(POLICIES, facts) if each.verdict == "broken"]
    assert found.where == "deploy.yaml:3:1"
    assert found.about == "CronJob train-…"
    assert "spec.jobTemplate.spec.template.spec: initContainers[more]: evil.example" in found.reason
    assert "allowed registry" in found.remedy


def test_an_object_that_is_nested_without_end_is_unknown_and_no_pass() -> None:
    deep: Object = {"containers": []}
    for _ in range(100):
        deep = {"inner": deep}
    facts = Facts(objects=(ObjectFacts(place="p:1:1", object={"kind": "Own", **deep}),))
    assert [each.verdict for each in judge(POLICIES, facts)] == ["unknown"]


def test_an_object_without_pods_is_not_called_passed() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "train"}, "spec": {"ports": []}}
    assert judge(POLICIES, Facts(objects=(ObjectFacts(place="p:1:1", object=service),))) == ()
    assert broken(pod(pod_spec())) == set()
