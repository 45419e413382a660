"""Callers with tokens of a cluster: judged by the API in memory, held for a while, and refused when it is out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.runtime.server.identities import cluster_tokens
from plimsoll.runtime.server.identities.callers import Caller, KeysNeeded
from plimsoll.runtime.server.identities.cluster_api import ClusterApi
from plimsoll.runtime.server.identities.cluster_settings import DEFAULT_ROLES, ClusterSettings, Right
from plimsoll.runtime.server.identities.cluster_tokens import KEEP, ClusterBearers
from plimsoll.runtime.server.identities.gate import Gate
from plimsoll.runtime.server.refusals import Busy, Forbidden, NotReady, Refusal, Unauthenticated

RBAC = "rbac.authorization.k8s.io"
ACCOUNT = "system:serviceaccount:shop:api-callers"
SHOP = "system:serviceaccount:shop:till"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A cluster in memory with a server's account, and what the server knows of its callers."""

    def __init__(self, cluster: MemoryCluster, directory: Path) -> None:
        self.cluster, self.directory, self.clock = cluster, directory, Clock()
        (directory / "token").write_text(cluster.token_for(ACCOUNT))
        bind(cluster, "delegator", ACCOUNT, "authentication.k8s.io", "tokenreviews", "")
        bind(cluster, "asker", ACCOUNT, "authorization.k8s.io", "localsubjectaccessreviews", "shop")

    def bearers(self, **changed: object) -> ClusterBearers:
        given = {"namespace": "shop", "roles": DEFAULT_ROLES, "account": "api-callers", **changed}
        settings = ClusterSettings(server=self.cluster.url, place=str(self.directory), **given)  # type: ignore[arg-type]
        return ClusterBearers(settings, ClusterApi(settings), self.clock)

    def asked(self) -> int:
        return sum("tokenreviews" in each.path for each in self.cluster.seen())


def bind(cluster: MemoryCluster, name: str, user: str, group: str, resource: str, namespace: str) -> None:
    kind = "Role" if namespace else "ClusterRole"
    place = {"namespace": namespace} if namespace else {}
    rule = {"apiGroups": [group], "resources": [resource], "verbs": ["create"]}
    cluster.put({"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name, **place}, "rules": [rule]})
    reference = {"apiGroup": RBAC, "kind": kind, "name": name}
    subjects = [{"kind": "User", "apiGroup": RBAC, "name": user}]
    binding = {"apiVersion": f"{RBAC}/v1", "kind": f"{kind}Binding", "metadata": {"name": name, **place}}
    cluster.put({**binding, "roleRef": reference, "subjects": subjects})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "cluster").mkdir()
    with MemoryCluster(directory=tmp_path / "cluster") as cluster:
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        yield Place(cluster, tmp_path)


def entered(bearers: ClusterBearers, token: str) -> Caller:
    """Who is let in to infer by a token."""
    gate = Gate([bearers])
    headers = {"authorization": f"Bearer {token}"}

    async def enter() -> Caller:
        await gate.enter_later(headers, "infer")
        return gate.caller(headers)

    return asyncio.run(enter())


def test_whoever_may_reach_the_service_by_rbac_may_infer(place: Place) -> None:
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers = place.bearers()
    assert entered(bearers, place.cluster.token_for(SHOP)) == Caller(f"kubernetes:{SHOP}", frozenset({"infer"}))
    with pytest.raises(Forbidden, match="the roles of the caller are: none"):
        entered(bearers, place.cluster.token_for("system:serviceaccount:shop:other"))
    with pytest.raises(Unauthenticated, match="the cluster does not know the token"):
        entered(bearers, "a-guess")


def test_each_role_is_for_who_may_do_what_the_file_names(place: Place) -> None:
    bind(place.cluster, "labeller", "ada", "example.org", "labels", "shop")
    bearers = place.bearers(
        roles={
            "infer": Right(verb="create", resource="labels", group="example.org", name="api"),
            "feedback": Right(verb="delete", resource="labels", group="example.org"),
        }
    )
    assert entered(bearers, place.cluster.token_for("ada")).roles == {"infer"}


def test_a_token_for_somebody_else_is_not_taken(place: Place) -> None:
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers = place.bearers(audience="models")
    for audiences in ((), ("vault",)):
        with pytest.raises(Unauthenticated):
            entered(bearers, place.cluster.token_for(SHOP, *audiences))
    assert entered(bearers, place.cluster.token_for(SHOP, "vault", "models")).roles == {"infer"}


def test_an_answer_holds_for_a_while_and_a_token_that_was_taken_back_ends(place: Place) -> None:
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers, token = place.bearers(), place.cluster.token_for(SHOP)
    for _ in range(5):
        entered(bearers, token)
    assert place.asked() == 1
    place.cluster.forget(token)
    assert entered(bearers, token).roles == {"infer"}
    place.clock.now += KEEP
    with pytest.raises(Unauthenticated):
        entered(bearers, token)


def test_many_who_come_at_once_with_one_token_ask_once(place: Place) -> None:
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers, token = place.bearers(), place.cluster.token_for(SHOP)

    async def all_at_once() -> None:
        await asyncio.gather(*(bearers.fetch(token) for _ in range(20)))

    asyncio.run(all_at_once())
    assert place.asked() == 1


def test_while_the_api_is_out_nobody_is_let_in_and_the_log_says_why_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers, token = place.bearers(), place.cluster.token_for(SHOP)
    place.cluster.fail(Fault(times=3, status=503, message="the server is busy"))
    for _ in range(3):
        with pytest.raises(NotReady, match="the cluster does not say who callers are"):
            entered(bearers, token)
    said = capsys.readouterr().err
    assert said.count("callers with tokens of the cluster get 503") == 1
    assert "the server is busy" in said
    assert token not in said
    assert entered(bearers, token).roles == {"infer"}


def test_a_server_that_may_not_ask_says_which_command_lets_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (binding,) = place.cluster.list(f"{RBAC}/v1", "ClusterRoleBinding")
    place.cluster.delete(binding)
    with pytest.raises(NotReady):
        entered(place.bearers(), "x")
    assert (
        "kubectl create clusterrolebinding plimsoll-shop-api-callers --clusterrole=system:auth-delegator "
        "--serviceaccount=shop:api-callers" in capsys.readouterr().err
    )


def test_guesses_push_out_nobody_who_is_known(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_tokens, "MOST_KNOWN", 3)
    bind(place.cluster, "till", SHOP, "", "services/proxy", "shop")
    bearers, token = place.bearers(), place.cluster.token_for(SHOP)
    entered(bearers, token)
    for number in range(10):
        with pytest.raises(Unauthenticated):
            entered(bearers, f"guess-{number}")
    before = place.asked()
    entered(bearers, token)
    assert place.asked() == before


def test_more_who_wait_than_there_is_room_for_are_told_to_come_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_tokens, "MOST_WAITING", 2)
    bearers = place.bearers()

    async def several() -> list[BaseException | None]:
        return await asyncio.gather(*(bearers.fetch(f"guess-{n}") for n in range(3)), return_exceptions=True)

    found = asyncio.run(several())
    assert [type(each) for each in found] == [type(None), type(None), Busy]


def test_a_token_that_was_not_asked_about_is_nobodys_yet(place: Place) -> None:
    with pytest.raises(KeysNeeded):
        place.bearers().caller("x")
    assert issubclass(NotReady, Refusal)
