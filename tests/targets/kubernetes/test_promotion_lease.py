"""One promotion of a service at a time: leases of the cluster in memory, its conflicts, its rights and its failures."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.targets.kubernetes import leases
from plimsoll.targets.kubernetes.leases import DURATION, is_left_behind
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.promotion_lease import BEFORE, PromotionLease, before_of

from .promotion_bench import served_of

LEASE = ("coordination.k8s.io/v1", "Lease", "app-triage-promotion", "default")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LOOK", 0.01)
    monkeypatch.setattr(leases, "WATCHED", 0.05)


def lease_of(api: Api, said: list[str] | None = None) -> PromotionLease:
    """The lease as one more process sees it."""
    return PromotionLease(api, "app", "default", "app-triage", said.append if said is not None else lambda _: None)


def found(cluster: MemoryCluster) -> dict[str, Any]:
    lease = cluster.find(*LEASE)
    assert lease is not None
    return lease


def left_behind(cluster: MemoryCluster, before: ServedVersions | None, *, seconds: float = -10 * DURATION) -> None:
    """A lease that a process has left, renewed so many seconds from now by that process's clock."""
    renewed = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    api_version, kind, name, namespace = LEASE
    text = msgspec.json.encode(before).decode() if before is not None else ""
    annotations = {BEFORE: text} if before is not None else {}
    labels = {"plimsoll.dev/application": "app"}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations, "labels": labels}
    spec = {"holderIdentity": "killed-1", "leaseDurationSeconds": DURATION, "renewTime": renewed}
    cluster.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


def lease(**spec: object) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": {"leaseDurationSeconds": 60, **spec}}


@pytest.mark.parametrize(("seconds", "expected"), [(0, False), (-59, False), (-61, True), (59, False), (61, True)])
def test_a_lease_counts_as_left_behind_once_its_time_is_further_off_than_its_duration(
    seconds: int, expected: bool
) -> None:
    assert is_left_behind(lease(renewTime=(NOW + timedelta(seconds=seconds)).isoformat()), NOW) is expected


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "2026-01-01T12:00:00", "2026-01-01"])
def test_a_lease_without_a_readable_time_counts_as_left_behind(time: object) -> None:
    assert is_left_behind(lease(renewTime=time), NOW)
    assert is_left_behind({"metadata": {"name": "x"}}, NOW)
    assert is_left_behind(lease(renewTime=NOW.isoformat(), leaseDurationSeconds="long"), NOW)


def test_what_the_service_was_comes_out_of_a_lease_as_it_went_in(cluster: MemoryCluster, api: Api) -> None:
    mine = lease_of(api)
    assert mine.take() is None
    assert before_of(found(cluster)) is None
    mine.remember(served_of())
    assert before_of(found(cluster)) == served_of()
    mine.forget()
    assert before_of(found(cluster)) is None


def test_a_lease_carries_its_application_so_that_down_removes_it(cluster: MemoryCluster, api: Api) -> None:
    lease_of(api).take()
    assert found(cluster)["metadata"]["labels"]["plimsoll.dev/application"] == "app"
    assert found(cluster)["spec"]["leaseDurationSeconds"] == DURATION


def test_a_second_promotion_is_refused_by_the_holder_s_name(cluster: MemoryCluster, api: Api) -> None:
    lease_of(api).take()
    before = found(cluster)
    with pytest.raises(PlimsollError) as caught:
        lease_of(api).take()
    assert f"by {before['spec']['holderIdentity']}" in caught.value.message
    assert caught.value.where == "Lease app-triage-promotion in namespace default"
    assert found(cluster) == before


def test_of_two_that_begin_at_once_one_wins(cluster: MemoryCluster, api: Api) -> None:
    early, late = lease_of(api), lease_of(api)
    early.take()
    # The other one has looked a moment before.
    cluster.fail(Fault(when=lambda request: request.method == "GET" and "leases" in request.path, status=404))
    with pytest.raises(PlimsollError, match="another promotion") as caught:
        late.take()
    assert early._holder in caught.value.message


def test_of_two_that_take_over_at_once_one_wins(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(cluster, served_of())
    first, second = lease_of(api), lease_of(api)
    taking = first.take_over

    def both(lease: dict[str, Any]) -> None:
        # The other one has seen the same lease, and is a moment quicker.
        second.take_over(lease)
        taking(lease)

    monkeypatch.setattr(first, "take_over", both)
    with pytest.raises(PlimsollError, match="another promotion") as caught:
        first.take()
    assert second._holder in caught.value.message
    assert found(cluster)["spec"]["holderIdentity"] == second._holder


def test_a_lease_that_was_left_behind_is_taken_over_with_what_it_holds(cluster: MemoryCluster, api: Api) -> None:
    left_behind(cluster, served_of(versions=("1", "2")))
    said: list[str] = []
    mine = lease_of(api, said)
    assert mine.take() == served_of(versions=("1", "2"))
    assert said == ["waiting: whether the promotion by killed-1 was interrupted"]
    assert found(cluster)["spec"]["holderIdentity"] == mine._holder
    assert before_of(found(cluster)) == served_of(versions=("1", "2")), "it may be cut off again before it is restored"


def test_a_lease_that_was_left_before_anything_changed_has_nothing_to_undo(cluster: MemoryCluster, api: Api) -> None:
    left_behind(cluster, None)
    assert lease_of(api).take() is None


def test_a_lease_that_cannot_be_read_is_refused_and_stays(cluster: MemoryCluster, api: Api) -> None:
    left_behind(cluster, served_of())
    cluster.put({**found(cluster), "metadata": {**found(cluster)["metadata"], "annotations": {BEFORE: "{}"}}})
    before = found(cluster)
    with pytest.raises(TargetError, match="what the service was before cannot be read") as caught:
        lease_of(api).take()
    assert "plimsoll run" in caught.value.hint
    assert found(cluster) == before


@pytest.mark.parametrize("hours", [-3, 3], ids=["behind", "ahead"])
def test_a_promotion_on_a_machine_with_another_clock_is_not_taken_over(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr(leases, "WATCHED", 5.0)
    left_behind(cluster, served_of(), seconds=3600 * hours)
    looks = []
    look = Api.find

    def renewed_meanwhile(self: Api, *place: Any) -> Any:
        looks.append(place)
        if len(looks) == 3:
            left_behind(cluster, served_of(), seconds=3600 * hours + 10)
        return look(self, *place)

    monkeypatch.setattr(Api, "find", renewed_meanwhile)
    with pytest.raises(PlimsollError, match="another promotion into this service is running, by killed-1"):
        lease_of(api).take()


def test_a_lease_that_is_released_while_it_is_watched_is_made_anew(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(cluster, served_of())
    monkeypatch.setattr(time, "sleep", lambda _: cluster.delete(found(cluster)))
    mine = lease_of(api)
    assert mine.take() is None
    assert found(cluster)["spec"]["holderIdentity"] == mine._holder


def test_a_lease_is_renewed_now_and_then_and_not_at_every_look(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = lease_of(api)
    mine.take()
    before = found(cluster)
    mine.renew()
    assert found(cluster) == before
    monkeypatch.setattr(leases, "RENEWAL", 0.0)
    mine.renew()
    assert found(cluster)["spec"]["renewTime"] > before["spec"]["renewTime"]


def test_a_lease_is_kept_while_its_holder_waits_for_something_long(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWAL", 0.02)
    mine = lease_of(api)
    mine.take()
    before = found(cluster)["spec"]["renewTime"]
    with mine.kept():
        assert cluster.wait_for(lambda: found(cluster)["spec"]["renewTime"] > before)
    mine.release()
    assert cluster.find(*LEASE) is None, "nobody renews it after the end"


def test_a_server_that_does_not_answer_for_a_while_costs_no_lease(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWAL", 0.02)
    mine = lease_of(api)
    mine.take()
    before = found(cluster)["spec"]["renewTime"]
    cluster.fail(Fault(times=3, status=400))
    with mine.kept():
        assert cluster.wait_for(lambda: found(cluster)["spec"]["renewTime"] > before)
    mine.renew()


def test_whoever_labels_a_lease_does_not_take_it(cluster: MemoryCluster, api: Api) -> None:
    mine = lease_of(api)
    mine.take()
    cluster.put({**found(cluster), "metadata": {**found(cluster)["metadata"], "labels": {"team": "a"}}})
    mine.remember(served_of())
    assert before_of(found(cluster)) == served_of()


def test_a_promotion_that_slept_while_another_took_over_is_told_and_leaves_the_lease(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = lease_of(api)
    sleeping.take()
    spec = {**found(cluster)["spec"], "renewTime": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    cluster.put({**found(cluster), "spec": spec})
    awake = lease_of(api)
    awake.take()
    theirs = found(cluster)

    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    for _ in range(2):
        with pytest.raises(TargetError, match="no longer the one that goes on: another promotion has taken over"):
            sleeping.renew()
    with pytest.raises(TargetError, match="no longer"):
        sleeping.remember(served_of())
    sleeping.give_up()
    sleeping.release()
    assert found(cluster) == theirs


def test_a_promotion_whose_lease_is_deleted_is_told(cluster: MemoryCluster, api: Api) -> None:
    mine = lease_of(api)
    mine.take()
    cluster.delete(found(cluster))
    with pytest.raises(TargetError, match="its lease has been deleted"):
        mine.remember(served_of())
    mine.release()


def test_a_lease_that_is_given_up_is_taken_over_at_once(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lease_of(api)
    first.take()
    first.remember(served_of())
    first.give_up()
    monkeypatch.setattr(leases, "WATCHED", 1e9)
    assert lease_of(api).take() == served_of()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_lease_that_cannot_be_deleted_is_no_error_of_a_promotion_that_has_ended(
    cluster: MemoryCluster, api: Api, method: str
) -> None:
    mine = lease_of(api)
    mine.take()
    cluster.fail(Fault(when=lambda request: request.method == method, status=422))
    mine.release()
    assert found(cluster)["spec"]["holderIdentity"] == mine._holder
    mine.release()
    assert cluster.find(*LEASE) is None


def test_notes_say_whether_a_promotion_goes_on_or_was_cut_off(cluster: MemoryCluster, api: Api) -> None:
    mine = lease_of(api)
    assert mine.note() == ""
    mine.take()
    assert mine.note() == f"a promotion is running, by {mine._holder}"
    mine.release()
    assert mine.note() == ""
    left_behind(cluster, served_of())
    assert mine.note() == "a promotion was interrupted; its weights stay until the next plimsoll promote"
    left_behind(cluster, None)
    assert mine.note() == "", "it was cut off before it changed anything"


def test_whoever_may_not_read_leases_is_told_of_services_without_notes(cluster: MemoryCluster, api: Api) -> None:
    left_behind(cluster, served_of())
    cluster.deny(resource="leases")
    assert lease_of(api).note() == ""


@pytest.mark.parametrize("verb", ["get", "create"])
def test_whoever_may_not_use_leases_is_refused_before_anything_changes(
    cluster: MemoryCluster, api: Api, verb: str
) -> None:
    cluster.deny(verb=verb, resource="leases")
    with pytest.raises(ApiError) as caught:
        lease_of(api).take()
    assert caught.value.status == 403
    assert "right" in caught.value.hint
    assert cluster.find(*LEASE) is None
