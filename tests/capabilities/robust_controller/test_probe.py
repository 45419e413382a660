"""An operator refuses bad objects, carries out good ones and comes back: right, or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.refusals import StatusError
from tests.capabilities.clusters.operators import (
    HOOK,
    PLACE,
    Operator,
    Webhook,
    called_done,
    declare,
    install,
    jobset,
    other_work,
)
from tests.capabilities.clusters.scene import Scene, labels_of

pytestmark = pytest.mark.slow

OPERATOR = "robust_controller"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(OPERATOR)
    assert scene.left() == []
    return verdict


def test_an_operator_that_refuses_carries_out_and_comes_back_passes(scene: Scene) -> None:
    jobset(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith(f"JobSet: refused by {HOOK}")
    healed = next(each.fact for each in scene.record(OPERATOR) if each.event == "healed")
    assert healed["back"], "the pod of the Deployment was deleted and came back"


def test_a_webhook_that_nobody_is_asked_by_lets_the_bad_object_in(scene: Scene) -> None:
    install(scene)
    declare(scene)
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, "JobSet did not refuse a bad object")


def test_an_operator_without_a_webhook_is_not_shown_to_refuse(scene: Scene) -> None:
    install(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, "no webhook" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_a_webhook_behind_a_service_of_another_name_is_not_the_operators(scene: Scene) -> None:
    install(scene)
    declare(scene, service="policy-engine")
    scene.cluster.validate(Webhook(scene).check, HOOK)
    assert check(scene).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("only_checks", [False, True], ids=["everything", "what checks create"])
def test_a_policy_that_denies_good_and_bad_alike_is_no_operator(scene: Scene, only_checks: bool) -> None:
    def deny(asked: Admission) -> str | None:
        found = asked.object
        if asked.kind.plural != "jobsets" or found is None:
            return None
        return None if only_checks and "plimsoll.dev/check" not in labels_of(found) else "there is no job at all"

    install(scene)
    declare(scene)
    scene.cluster.validate(deny, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "JobSet: the good twin was refused too")


def test_a_refusal_for_another_reason_is_not_the_refusal_of_the_bad_object(scene: Scene) -> None:
    install(scene)
    declare(scene)
    scene.cluster.validate(Webhook(scene, reason="out of luck").check, HOOK)
    assert check(scene).outcome is Outcome.UNKNOWN


def test_a_policy_with_the_words_of_the_webhook_is_not_the_webhook(scene: Scene) -> None:
    install(scene)
    declare(scene)
    reason = f'admission webhook "{HOOK}" denied the request: there is no job {{word}}'
    scene.cluster.validate(Webhook(scene, reason=reason).check, "a-policy.example.com")
    assert check(scene).outcome is Outcome.UNKNOWN


def test_a_namesake_that_refuses_while_the_operator_is_down_is_found_out(scene: Scene) -> None:
    install(scene)
    declare(scene)
    declare(scene, configuration="another", service="policy-engine")
    scene.cluster.validate(Webhook(scene, alone=True).check, HOOK)
    verdict = check(scene)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "another has a webhook called" in verdict.cause


def test_an_operator_that_only_says_that_it_is_done_fails(scene: Scene) -> None:
    install(scene, Operator(called_done))
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "JobSet: 0 pods, no output")


def test_an_operator_whose_pods_run_something_else_fails(scene: Scene) -> None:
    install(scene, Operator(other_work))
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "JobSet: 2 pods, no output")


def test_an_operator_that_accepts_and_does_nothing_fails(scene: Scene) -> None:
    install(scene, Operator(lambda world, found: None))
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, "JobSet accepts objects and does nothing")


@pytest.mark.parametrize("mortal", [True, False], ids=["is not started again", "comes back and carries out nothing"])
def test_an_operator_that_does_not_survive_its_pod_fails(scene: Scene, mortal: bool) -> None:
    install(scene, Operator(learns=False), mortal=mortal)
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "JobSet: not healed")


@pytest.mark.parametrize("leader", ["", "another-engine"])
def test_an_operator_without_a_leader_passes_when_nothing_is_reported_while_it_is_down(
    scene: Scene, leader: str
) -> None:
    install(scene, Operator(leader=leader))
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    kept = next(each.fact for each in scene.record(OPERATOR) if each.event == "kept-down")
    assert (kept["worked"], kept["done"]) == (True, False)


def test_pods_behind_the_webhook_are_not_the_operator_when_objects_are_carried_out_without_them(scene: Scene) -> None:
    install(scene, Operator(leader="another-engine", alone=True))
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
    verdict = check(scene)
    assert (verdict.outcome, "another program does it" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_a_webhook_that_is_out_of_breath_refuses_nothing(scene: Scene) -> None:
    def broken(asked: Admission) -> str | None:
        if asked.kind.plural == "jobsets" and asked.verb == "create":
            raise StatusError(500, "InternalError", f'failed calling webhook "{HOOK}": context deadline exceeded')
        return None

    install(scene)
    declare(scene)
    scene.cluster.validate(broken, HOOK)
    assert check(scene).outcome in (Outcome.FAIL, Outcome.UNKNOWN)


def test_the_operators_own_objects_are_left_alone(scene: Scene) -> None:
    jobset(scene)
    check(scene)
    assert len(scene.cluster.list("v1", "Pod", PLACE)) == 1
    assert scene.cluster.list("jobset.x-k8s.io/v1alpha2", "JobSet") == []
