"""Why a pod ended: who is believed, and what each of them says."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.targets.kubernetes.reasons.endings import disruption, ending, vanished

ASKED = {"deletionTimestamp": "2026-01-01T00:00:40Z", "deletionGracePeriodSeconds": 30}
"""Of a pod that was asked to end at ten seconds after midnight."""
WHO = "the pod gang-0 on node-1 was"


def pod(
    terminated: dict[str, Any] | None = None, *, metadata: dict[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    if terminated is not None:
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": terminated}}]
    container = {"name": "main", "resources": {"limits": {"memory": "1073741824"}}}
    return {
        "metadata": {"name": "gang-0", **(metadata or {})},
        "spec": {"nodeName": "node-1", "containers": [container]},
        "status": {"phase": "Failed", **status},
    }


def targeted(reason: str, message: str = "") -> dict[str, Any]:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return pod({"exitCode": 143}, metadata=ASKED, conditions=[condition])


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("EvictionByEvictionAPI", "Eviction API: evicting", "evicted by the eviction API, as `kubectl drain`"),
        ("PreemptionByScheduler", "preempting to accommodate a pod", "preempted by a pod of higher priority"),
        ("DeletionByTaintManager", "", "ended because node-1 has a taint that it does not tolerate"),
        ("DeletionByPodGC", "PodGC: node no longer exists", "lost with node-1, which is no longer there"),
        ("SomethingNew", "new words", "ended from outside: SomethingNew: new words"),
    ],
)
def test_who_ended_a_pod_is_told_and_not_its_exit_status(reason: str, message: str, told: str) -> None:
    found = ending(targeted(reason, message))
    assert found.text.startswith(f"{WHO} {told}")
    assert found.disrupted
    assert not found.lasting


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("Evicted", "The node was low on resource: memory. Threshold …", "evicted: node-1 is short of memory"),
        ("NodeLost", "", "lost: node-1 does not answer"),
        ("Terminated", "Pod was terminated in response to imminent node shutdown.", "ended because node-1 is shutting"),
        ("OutOfcpu", "Node didn't have enough resource: cpu", "refused by node-1, which has no cpu left"),
        ("UnexpectedAdmissionError", "no device", "refused by its node: no device"),
        ("Preempting", "", "ended by its kubelet for a pod that the node cannot do without"),
    ],
)
def test_what_the_kubelet_says_of_a_pod_is_told_before_its_exit_status(reason: str, message: str, told: str) -> None:
    found = ending(pod({"exitCode": 137}, reason=reason, message=message))
    assert found.text.startswith(f"{WHO} {told}")
    assert found.disrupted


def test_a_pod_that_used_more_disk_than_it_may_does_so_again() -> None:
    message = 'Usage of EmptyDir volume "work" exceeds the limit "1Gi". '
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}
    found = ending(pod({"exitCode": 137}, reason="Evicted", message=message, conditions=[condition]))
    assert found.text.startswith(f"{WHO} evicted for using more disk than it may")
    assert found.lasting


def test_a_container_that_was_killed_for_its_memory_is_told_with_its_limit() -> None:
    found = ending(pod({"exitCode": 137, "reason": "OOMKilled"}))
    assert found.text == "it used more than its memory of 1 GiB and was killed; raise resources.memory"


def test_a_pod_that_was_deleted_says_so_when_nobody_says_more() -> None:
    found = ending(pod({"exitCode": 143, "finishedAt": "2026-01-01T00:00:15Z"}, metadata=ASKED))
    assert found.text.startswith(f"{WHO} deleted by somebody else")
    assert found.deleted


def test_a_container_that_had_failed_before_its_pod_was_deleted_gives_the_reason() -> None:
    early = {"exitCode": 3, "finishedAt": "2026-01-01T00:00:05Z", "message": "ValueError: no rows"}
    assert ending(pod(early, metadata=ASKED)).text == "ended with status 3: ValueError: no rows"
    own = {"exitCode": 1, "finishedAt": "2026-01-01T00:00:05Z", "message": '{"reason":"no input x","lasting":true}'}
    found = ending(pod(own, metadata=ASKED))
    assert (found.text, found.lasting) == ("no input x", True)


def test_a_pods_own_report_of_an_end_that_it_was_asked_for_is_not_believed() -> None:
    said = {"exitCode": 143, "message": '{"reason":"the command ended with status 143"}'}
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    assert "evicted" in ending(pod(said, metadata=ASKED, conditions=[condition])).text


def test_an_exit_status_has_the_last_words_beside_it() -> None:
    assert ending(pod({"exitCode": 3, "message": "line\nlast line\n"})).text == "ended with status 3: last line"
    assert ending(pod({"exitCode": 128, "signal": 9})).text == "was ended by signal 9"
    assert ending(pod()).text == "it failed without a reason"


def test_a_container_that_cannot_be_started_is_lasting() -> None:
    said = {"exitCode": 128, "reason": "StartError", "message": 'exec: "python": executable file not found'}
    found = ending(pod(said))
    assert found.text == 'its container cannot be started: exec: "python": executable file not found'
    assert found.lasting


def test_a_pod_that_is_no_longer_there_has_the_reason_that_was_last_seen() -> None:
    assert "evicted" in vanished(targeted("EvictionByEvictionAPI")).text
    assert vanished(pod(phase="Running")).text.startswith(f"{WHO} deleted by somebody else")


def test_a_pod_that_runs_and_is_to_end_says_so() -> None:
    assert disruption(pod(phase="Running")) == ""
    assert disruption(pod(phase="Running", metadata=ASKED)) == "the pod gang-0 on node-1 is being deleted"
