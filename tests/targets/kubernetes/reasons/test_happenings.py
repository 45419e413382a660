"""What events say: of pods that have a node and do not start, of nodes that are lost, and of what makes no pods."""

from __future__ import annotations

import msgspec
import pytest

from plimsoll.targets.kubernetes.reasons.happenings import Event, lost_node, of_owner, of_pod


def event(reason: str, message: str = "", at: int = 0, **about: str) -> Event:
    value = {
        "metadata": {"creationTimestamp": f"2026-01-01T00:00:{at:02}Z"},
        "involvedObject": {"kind": "Pod", "name": "gang-0", "uid": "u1", **about},
        "type": "Warning",
        "reason": reason,
        "message": message,
    }
    return msgspec.convert(value, type=Event)


def text_of(*events: Event) -> str:
    cause = of_pod("u1", "gang-0", events)
    return cause.text if cause is not None else ""


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "v" : secret "s" not found',
            'a volume of the pod gang-0 cannot be mounted: MountVolume.SetUp failed for volume "v" : secret '
            '"s" not found; make the Secret',
        ),
        (
            "FailedCreatePodSandBox",
            'Failed to create pod sandbox: plugin type="cni" failed',
            'the node cannot make the sandbox of the pod gang-0: Failed to create pod sandbox: plugin type="cni" failed; '
            "look at the node's network plug-in",
        ),
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "v"',
            'a volume of the pod gang-0 cannot be attached: Multi-Attach error for volume "v"; it goes on once the other '
            "node lets it go",
        ),
        ("Pulling", 'Pulling image "a/b:1"', 'the pod gang-0 waits for its image: Pulling image "a/b:1"'),
    ],
)
def test_a_pod_that_does_not_start_on_its_node_says_why(reason: str, message: str, told: str) -> None:
    assert text_of(event(reason, message)) == told


def test_the_newest_event_of_the_very_pod_counts() -> None:
    old, new = event("Pulling", "Pulling", 1), event("FailedMount", "no such volume", 2)
    assert text_of(new, old).endswith("no such volume")
    assert text_of(event("FailedMount", "of one before", uid="u0")) == ""
    assert text_of(event("Scheduled", "assigned")) == ""


def test_an_event_that_came_again_counts_by_its_last_time() -> None:
    again = {"lastObservedTime": "2026-01-01T00:00:09.000000Z"}
    first = msgspec.structs.replace(event("FailedMount", "again", 1), series=msgspec.convert(again, type=_series()))
    assert text_of(first, event("Pulling", "Pulling", 5)).endswith("again")


def _series() -> type:
    from plimsoll.targets.kubernetes.reasons.happenings import Series

    return Series


def test_a_node_is_lost_until_something_newer_is_said_of_its_pod() -> None:
    lost = event("NodeNotReady", "Node is not ready", 1)
    assert lost_node("u1", [lost])
    assert not lost_node("u1", [lost, event("Started", "", 2)])
    assert not lost_node("u1", [])


def owner_text(*events: Event, name: str = "shop-run", after: str = "") -> str:
    cause = of_owner(name, "shop", events, after)
    return cause.text if cause is not None else ""


DENIED = 'Error creating: pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'


def test_what_makes_no_pods_says_why_by_its_own_events_and_by_those_of_its_parts() -> None:
    assert "pods of the Job shop-run (" in owner_text(event("FailedCreate", DENIED, kind="Job", name="shop-run"))
    part = event("FailedCreate", DENIED, kind="Job", name="shop-run-workers-0")
    assert "pods of the Job shop-run-workers-0 (" in owner_text(part)
    unmade = event("JobCreationFailed", "job creation failed with error: x", kind="JobSet", name="shop-run")
    assert owner_text(unmade) == "the JobSet shop-run says JobCreationFailed: job creation failed with error: x"


def test_events_of_pods_of_others_and_of_before_are_no_reason() -> None:
    assert owner_text(event("FailedCreate", DENIED)) == ""
    assert owner_text(event("FailedCreate", DENIED, kind="Job", name="shop-runner")) == ""
    assert owner_text(event("FailedCreate", DENIED, kind="ReplicaSet", name="shop-api-v2-abc"), name="shop-api") == ""
    of_before = event("FailedCreate", DENIED, 3, kind="Job", name="shop-run")
    assert owner_text(of_before, after="2026-01-01T00:00:04Z") == ""
