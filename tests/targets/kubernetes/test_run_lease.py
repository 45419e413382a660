"""Whose run goes on: leases of an application on the cluster in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.targets.kubernetes import claims, leases, run_lease
from plimsoll.targets.kubernetes.claims import Claim, claim_of
from plimsoll.targets.kubernetes.run_lease import RunLease
from plimsoll.targets.port import RunRequest

LEASE = ("coordination.k8s.io/v1", "Lease", "shop-run", "default")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LOOK", 0.01)
    monkeypatch.setattr(leases, "WATCHED", 0.05)
    monkeypatch.setattr(leases, "RENEWAL", 0.02)


class Runs:
    """Runs of people in directories of their own; each is told of what it is told in `said`."""

    def __init__(self, api: Api, place: Path) -> None:
        self._api, self._place = api, place
        self._numbers: dict[str, int] = {}
        self._open: list[RunLease] = []
        self._locks: dict[str, RunLock] = {}
        self.said: list[str] = []

    def new(self, user: str, content: str = "c1") -> RunLease:
        """A run of somebody that has the lock of their directory, with a journal; the one before has it no more."""
        if user in self._locks:
            self._locks[user].release()
        number = self._numbers[user] = self._numbers.get(user, 0) + 1
        state = StateDirectory(self._place / user, "memory")
        state.make()
        run = f"{user}-{number}"
        state.journal(run).parent.mkdir(parents=True)
        state.journal(run).write_text("")
        self._locks[user] = RunLock(state.lock)
        self._locks[user].acquire(run, "shop")
        request = RunRequest(content=content, number=number, say=self.said.append)
        found = run_lease.run_lease(self._api, "shop", "default", state, run, request)
        self._open.append(found)
        return found

    def close(self) -> None:
        for each in self._open:
            each.end()
        for lock in self._locks.values():
            lock.release()


@pytest.fixture
def runs(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    for module in (leases, claims):
        monkeypatch.setattr(module, "user_at_host", lambda _: "somebody@laptop")
    found = Runs(api, tmp_path / "homes")
    yield found
    found.close()


def lease(cluster: MemoryCluster) -> dict[str, Any]:
    found = cluster.find(*LEASE)
    assert found is not None
    return found


def left_behind(cluster: MemoryCluster, *, seconds: float, duration: int = 30, **claim: Any) -> Claim:
    """The lease of a process on another machine, last renewed so many seconds ago by that machine's clock."""
    renewed = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    given = {"who": "ada@laptop", "process": 4711, "run": "r3", "directory": "", "number": 3, "content": "c1", **claim}
    made = Claim(**given)
    api_version, kind, name, namespace = LEASE
    annotations = {claims.CLAIM: msgspec.json.encode(made).decode()}
    labels = {"plimsoll.dev/application": "shop"}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations, "labels": labels}
    spec = {
        "holderIdentity": "ada@laptop/4711/r3",
        "leaseDurationSeconds": duration,
        "acquireTime": renewed,
        "renewTime": renewed,
    }
    cluster.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    return made


def eventually(cluster: MemoryCluster, question: Callable[[], object]) -> bool:
    return cluster.wait_for(question)


def asked_more(cluster: MemoryCluster, times: int) -> bool:
    """Whether the cluster is asked so many times more."""
    asked = len(cluster.seen())
    return eventually(cluster, lambda: len(cluster.seen()) >= asked + times)


def test_a_run_says_whose_it_is_as_long_as_it_goes_on(cluster: MemoryCluster, runs: Runs) -> None:
    mine = runs.new("ada")
    mine.begin()
    found = lease(cluster)
    assert found["metadata"]["labels"]["plimsoll.dev/application"] == "shop"
    assert found["spec"]["holderIdentity"].startswith("somebody@laptop/")
    claim = claim_of(found)
    assert claim is not None
    assert (claim.run, claim.number, claim.content) == ("ada-1", 1, "c1")
    assert mine.holds()
    mine.end()
    assert cluster.find(*LEASE) is None


def test_a_run_of_other_content_is_refused_at_once_by_name(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=0)
    before = lease(cluster)
    with pytest.raises(TargetError) as refused:
        runs.new("bob", "c2").begin()
    assert "run 3 of ada@laptop carries out other content of 'shop' since " in refused.value.message
    assert refused.value.message.endswith("in process 4711")
    assert refused.value.where == "Lease shop-run in namespace default"
    assert "wait for it" in refused.value.hint
    assert lease(cluster) == before


def test_a_run_of_the_same_content_joins_and_lets_go_without_a_trace(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=0)
    before = lease(cluster)
    mine = runs.new("bob")
    mine.begin()
    assert mine.joined == "run 3 of ada@laptop"
    (said,) = runs.said
    assert said.startswith("run 3 of ada@laptop carries this out already since ")
    assert not mine.holds()
    mine.require()
    mine.end()
    assert lease(cluster) == before


def test_a_joiner_goes_on_itself_once_the_other_run_has_ended(cluster: MemoryCluster, runs: Runs) -> None:
    first, second = runs.new("ada"), runs.new("bob")
    taken: list[str] = []
    first.begin()
    second.begin(on_taken=lambda: taken.append("bob"))
    assert (second.joined, taken) == ("run 1 of somebody@laptop", [])
    first.end()
    assert eventually(cluster, lambda: taken)
    assert second.holds()
    assert second.joined == ""
    assert second.word == "run 1 of somebody@laptop has ended: this run goes on"


def test_a_joiner_takes_over_from_a_run_that_gives_no_sign(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=0, duration=0)
    mine = runs.new("bob")
    mine.begin()
    assert eventually(cluster, mine.holds)
    assert "run 3 of ada@laptop has given no sign for " in mine.word


def test_a_run_that_is_alive_is_never_taken_over_by_its_joiner(
    cluster: MemoryCluster, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(cluster, seconds=0, duration=1)
    mine = runs.new("bob")
    mine.begin()
    ours = lease(cluster)["metadata"]["labels"]
    for number in range(12):
        # Renewed, by a clock that stands still.
        cluster.put(
            {**lease(cluster), "metadata": {**lease(cluster)["metadata"], "labels": {**ours, "look": str(number)}}}
        )
        assert asked_more(cluster, 3)
    assert mine.joined == "run 3 of ada@laptop"


def test_the_silence_of_a_server_says_nothing_of_the_other_run(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=0, duration=1)
    mine = runs.new("bob")
    mine.begin()
    cluster.fail(Fault(times=10**6, when=lambda request: "leases" in request.path, status=400))
    assert asked_more(cluster, 20)
    assert mine.joined == "run 3 of ada@laptop"
    mine.require()


def test_a_joiner_of_a_run_that_is_followed_by_other_content_ends_with_its_name(
    cluster: MemoryCluster, runs: Runs
) -> None:
    left_behind(cluster, seconds=0)
    mine = runs.new("bob")
    mine.begin()
    left_behind(cluster, seconds=0, who="carol@desk", number=9, content="c2")

    def refused() -> str:
        try:
            mine.require()
        except TargetError as error:
            return error.message
        return ""

    assert eventually(cluster, refused)
    assert "run 9 of carol@desk carries out other content" in refused()
    before = lease(cluster)
    mine.end()
    assert lease(cluster) == before


def test_a_run_that_was_killed_is_taken_over_at_once_in_its_own_directory(cluster: MemoryCluster, runs: Runs) -> None:
    killed = runs.new("ada")
    killed.create()
    again = runs.new("ada", "c2")
    again.begin()
    assert again.holds()
    assert runs.said == ["run 1 of somebody@laptop was interrupted: this one goes on"]


def test_a_copy_of_a_directory_is_another_place(cluster: MemoryCluster, runs: Runs, tmp_path: Path) -> None:
    runs.new("ada").create()
    (tmp_path / "homes" / "ada").rename(tmp_path / "homes" / "moved")
    with pytest.raises(TargetError, match="run 1 of somebody@laptop"):
        runs.new("ada", "c2").begin()


def test_a_lease_that_looks_old_is_watched_before_it_is_taken(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=3600)
    mine = runs.new("bob", "c2")
    mine.begin()
    assert mine.holds()
    assert runs.said == [
        "waiting: whether run 3 of ada@laptop was interrupted",
        "run 3 of ada@laptop was interrupted: this one goes on",
    ]


def test_a_run_by_another_clock_that_is_renewed_is_not_taken(
    cluster: MemoryCluster, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "WATCHED", 5.0)
    left_behind(cluster, seconds=3600)
    mine = runs.new("bob", "c2")
    looks: list[object] = []
    look = Api.find

    def renewed_meanwhile(self: Api, *place: Any) -> Any:
        looks.append(place)
        if len(looks) == 2:
            left_behind(cluster, seconds=0)
        return look(self, *place)

    monkeypatch.setattr(Api, "find", renewed_meanwhile)
    with pytest.raises(TargetError, match="run 3 of ada@laptop carries out other content"):
        mine.begin()


def test_who_is_taken_over_is_told_and_leaves_the_lease_alone(cluster: MemoryCluster, runs: Runs) -> None:
    first = runs.new("ada")
    first.begin()
    left_behind(cluster, seconds=0, who="carol@desk", content="")
    assert not first.holds()
    with pytest.raises(TargetError, match="`plimsoll down` of carol@desk has taken over from this run"):
        first.require()
    first.end()
    claim = claim_of(lease(cluster))
    assert claim is not None
    assert claim.who == "carol@desk"


def test_a_lease_that_somebody_has_deleted_is_made_again(cluster: MemoryCluster, runs: Runs) -> None:
    mine = runs.new("ada")
    mine.begin()
    cluster.delete(lease(cluster))
    assert eventually(cluster, lambda: cluster.find(*LEASE))
    assert mine.holds()
    mine.require()


def test_removal_is_refused_while_a_run_goes_on_and_forced_by_taking_its_lease(
    cluster: MemoryCluster, runs: Runs
) -> None:
    first = runs.new("ada")
    first.begin()
    with pytest.raises(TargetError, match=r"is under way since .* would make again what is taken down") as refused:
        runs.new("bob", "").begin()
    assert "plimsoll down --force" in refused.value.hint
    removal = runs.new("bob", "")
    removal.seize()
    assert removal.holds()
    assert not first.holds()


def test_nobody_begins_while_the_application_is_taken_down(cluster: MemoryCluster, runs: Runs) -> None:
    left_behind(cluster, seconds=0, content="")
    for content in ("c1", ""):
        with pytest.raises(TargetError, match="`plimsoll down` of ada@laptop takes 'shop' down since"):
            runs.new("bob", content).begin()


@pytest.mark.parametrize("claim", ["", "{}", "[]", '{"who": 7}'])
def test_a_lease_that_says_nothing_readable_is_not_joined(cluster: MemoryCluster, runs: Runs, claim: str) -> None:
    left_behind(cluster, seconds=0)
    annotations = {claims.CLAIM: claim}
    cluster.put({**lease(cluster), "metadata": {**lease(cluster)["metadata"], "annotations": annotations}})
    with pytest.raises(PlimsollError, match="ada@laptop/4711/r3"):
        runs.new("bob").begin()


@pytest.mark.parametrize("content", ["c1", ""], ids=["run", "down"])
def test_a_lease_that_is_somebody_else_s_is_never_taken(cluster: MemoryCluster, runs: Runs, content: str) -> None:
    left_behind(cluster, seconds=3600)
    before = cluster.put({**lease(cluster), "metadata": {"name": "shop-run", "namespace": "default"}})
    for take in (runs.new("bob", content).begin, runs.new("bob", content).seize):
        with pytest.raises(TargetError, match="Lease shop-run, which the application shop would have, is somebody el"):
            take()
    assert lease(cluster) == before


def test_who_may_not_use_leases_is_told_the_right(cluster: MemoryCluster, runs: Runs) -> None:
    cluster.deny(verb="create", resource="leases")
    with pytest.raises(ApiError, match="leases"):
        runs.new("ada").begin()


def test_of_two_runs_that_begin_at_once_the_later_joins(
    cluster: MemoryCluster, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs.new("ada"), runs.new("bob")
    first.begin()
    # The other one has looked a moment before.
    cluster.fail(Fault(when=lambda request: request.method == "GET" and "leases" in request.path, status=404))
    second.begin()
    assert second.joined == "run 1 of somebody@laptop"
