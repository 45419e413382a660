"""Refusals of the API server, as sentences with object, cause and remedy; and which of them may still pass."""

from __future__ import annotations

import pytest

from plimsoll.targets.kubernetes.reasons.admission import refused

WHAT = "pods of the Job shop-run"
FORBIDDEN = 'Error creating: pods "shop-run-0-x" is forbidden: '


def test_a_full_quota_is_told_with_its_figures_and_may_become_free() -> None:
    message = f"{FORBIDDEN}exceeded quota: team, requested: pods=1,limits.memory=2Gi, used: pods=3, limited: pods=3"
    cause = refused(message, "shop", WHAT)
    assert cause.text == (
        'the quota "team" of namespace shop forbids pods of the Job shop-run (pods: 3 allowed, 3 used, 1 more wanted); '
        "end something there, ask for less, or have it raised"
    )
    assert (cause.patience, cause.lasting) == (None, False)


def test_a_quota_that_is_smaller_than_what_is_asked_for_is_not_waited_for() -> None:
    message = (
        f"{FORBIDDEN}exceeded quota: team, requested: requests.cpu=4, used: requests.cpu=0, limited: requests.cpu=500m"
    )
    cause = refused(message, "shop", WHAT)
    assert cause.text.endswith("(requests.cpu: 500m allowed, 0 used, 4 more wanted); ask for less, or have it raised")
    assert cause.lasting


def test_a_quota_that_wants_limits_names_the_keys_of_the_file() -> None:
    message = f"{FORBIDDEN}failed quota: team: must specify limits.cpu for: main; limits.memory for: main"
    cause = refused(message, "shop", WHAT)
    assert cause.text == (
        'the quota "team" of namespace shop forbids pods of the Job shop-run without limits.cpu, limits.memory; '
        "set resources.cpu and resources.memory in the file"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "maximum cpu usage per Container is 100m, but request is 200m",
            "a LimitRange of namespace shop forbids pods of the Job shop-run: maximum cpu usage per Container is 100m, "
            "but request is 200m; change resources.cpu, or have the limit changed",
        ),
        (
            'error looking up service account shop/robot: serviceaccount "robot" not found',
            'the ServiceAccount "robot" that pods of the Job shop-run name is not in namespace shop; make it',
        ),
        (
            "no PriorityClass with name urgent was found",
            'the PriorityClass "urgent" that pods of the Job shop-run name is not in the cluster; make it, or name another',
        ),
        (
            'pod rejected: RuntimeClass "gvisor" not found',
            'the RuntimeClass "gvisor" that pods of the Job shop-run name is not in the cluster; make it, or name another',
        ),
        (
            'violates PodSecurity "restricted:latest": privileged (container "x" must not set privileged)',
            "the Pod Security level restricted of namespace shop forbids pods of the Job shop-run: privileged "
            '(container "x" must not set privileged); have the level changed',
        ),
        (
            "ValidatingAdmissionPolicy 'no-root' with binding 'all' denied request: runs as root",
            "the policy 'no-root' denied pods of the Job shop-run in namespace shop: runs as root; meet its rule, or ask "
            "who set it",
        ),
    ],
)
def test_what_nothing_but_a_change_helps_is_told_and_is_lasting(words: str, told: str) -> None:
    cause = refused(FORBIDDEN + words, "shop", WHAT)
    assert cause.text == told
    assert cause.lasting


def test_a_webhook_that_denies_is_told_with_its_reason() -> None:
    cause = refused('Error creating: admission webhook "guard.example" denied the request: no team label', "shop", WHAT)
    assert cause.text == (
        'the webhook "guard.example" denied pods of the Job shop-run in namespace shop: no team label; meet its rule, or '
        "ask who runs it"
    )
    assert cause.lasting


def test_a_webhook_that_does_not_answer_may_come_back() -> None:
    message = (
        'Error creating: Internal error occurred: failed calling webhook "guard.example": failed to call webhook: Post '
        '"https://guard.guard.svc:443/": no endpoints available for service "guard"'
    )
    cause = refused(message, "shop", WHAT)
    assert 'the webhook "guard.example", which has to allow pods of the Job shop-run' in cause.text
    assert cause.text.endswith("have its pods mended")
    assert not cause.lasting


def test_a_namespace_that_is_ending_takes_nothing_new() -> None:
    words = "unable to create new content in namespace shop because it is being terminated"
    assert "namespace shop is being deleted, and takes nothing new" in refused(FORBIDDEN + words, "shop", WHAT).text


def test_a_refusal_of_a_plugin_that_is_not_known_is_told_as_it_is() -> None:
    cause = refused(f"{FORBIDDEN}the moon is full\nand bright", "shop", WHAT)
    assert cause.text == "the API server refuses pods of the Job shop-run: the moon is full and bright"
    assert not cause.lasting
