"""An application with exactly the rights that are printed for it, and with one less."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.access import Access, Act
from plimsoll.kubernetes.api import Api
from tests.targets.kubernetes.bench import APPLICATION, Bench
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.life import Life, Manifest, asked, furnish, given, servers, without

ADA = "ada"
LOST_PODS = Act(verb="delete", resource="pods", namespace=APPLICATION)
"""Needed only where a node does not answer."""
OPERATORS = ("jobset", "gateway", "prometheus")
PREFERRED = ("jobset", "gateway", "operator")


def grant(bench: Bench, manifests: Sequence[Manifest]) -> None:
    for each in manifests:
        bench.cluster.put(each)


def printed(bench: Bench, directory: Path, **options: object) -> list[Manifest]:
    """The rights of the application, as an administrator prints them for ada."""
    with Life(bench, bench.cluster.context, directory, **options) as asking:
        return asking.printed(ADA)


@pytest.fixture
def ada(bench: Bench) -> str:
    furnish(bench)
    return bench.cluster.user(ADA)


@pytest.mark.slow
@pytest.mark.parametrize("addons", [(), OPERATORS], ids=["plain", "operators"])
def test_a_whole_life_takes_exactly_the_printed_rights(
    new_bench: NewBench, tmp_path: Path, addons: tuple[str, ...]
) -> None:
    bench = new_bench(*addons)
    furnish(bench, *addons)
    ada = bench.cluster.user(ADA)
    roles = printed(bench, tmp_path / "admin")
    grant(bench, roles)
    with servers(bench), Life(bench, ada, tmp_path / "ada") as life:
        life.whole()
    assert {replace(each, name="") for each in given(roles)} - asked(bench, ADA) == {LOST_PODS}
    assert bool([each for each in roles if each["kind"] == "ClusterRole"]) == ("gateway" in addons)


def test_one_right_less_is_named_before_anything_is_made(bench: Bench, ada: str, tmp_path: Path) -> None:
    roles = printed(bench, tmp_path)
    for act in given(roles):
        grant(bench, without(roles, act))
        api = Api(ada)
        assert Access(api).lacking(given(roles)) == [act]
        api.close()
    missing = Act(verb="get", resource="pods/log", namespace=APPLICATION)
    grant(bench, without(roles, missing))
    with Life(bench, ada, tmp_path) as life, pytest.raises(TargetError) as refused:
        life.run()
    words = "get pods/log in namespace shop: it is read what workers print"
    assert words in str(refused.value)
    assert "plimsoll run --print-rbac" in refused.value.hint
    assert not [each for each in bench.cluster.seen() if each.changes and each.user == ADA]


@pytest.mark.slow
def test_a_promotion_that_lacks_a_right_names_it_and_a_service_stays_as_it_was(
    bench: Bench, ada: str, tmp_path: Path
) -> None:
    roles = printed(bench, tmp_path)
    grant(bench, roles)
    leases = {"group": "coordination.k8s.io", "resource": "leases"}
    with servers(bench), Life(bench, ada, tmp_path) as life:
        life.run()
        for verb, resource in (("get", leases), ("create", leases), ("get", {"resource": "pods/proxy"})):
            act = Act(verb=verb, namespace=APPLICATION, **resource)
            grant(bench, without(roles, act))
            with pytest.raises(PlimsollError) as refused:
                life.promote()
            assert f'cannot {verb} resource "{act.resource}"' in str(refused.value)
            assert "plimsoll run --print-rbac" in str(refused.value)
            grant(bench, roles)
            life.status()


def test_a_kind_that_may_be_made_and_not_listed_is_not_overlooked_at_the_end(
    bench: Bench, ada: str, tmp_path: Path
) -> None:
    roles = printed(bench, tmp_path)
    grant(bench, roles)
    with servers(bench), Life(bench, ada, tmp_path) as life:
        life.run()
        act = Act(verb="list", group="networking.k8s.io", resource="networkpolicies", namespace=APPLICATION)
        grant(bench, without(roles, act))
        with pytest.raises(PlimsollError, match='cannot list resource "networkpolicies"'):
            life.down()


def test_who_has_no_right_at_all_is_told_every_one_of_them(bench: Bench, ada: str, tmp_path: Path) -> None:
    with Life(bench, ada, tmp_path) as life, pytest.raises(TargetError) as refused:
        life.run()
    roles = printed(bench, tmp_path / "admin")
    told = str(refused.value)
    later = {"get pods/proxy", "create leases", "delete leases", "get leases", "patch leases"}
    for act in given(roles):
        short = str(replace(act, group="")).partition(" in ")[0]
        assert short in later or f"{act}" in told, act


def test_a_registry_that_may_not_be_looked_up_is_told_as_a_missing_right(
    bench: Bench, ada: str, tmp_path: Path
) -> None:
    with Life(bench, ada, tmp_path, registry=None) as life, pytest.raises(TargetError) as refused:
        life.target().open("plan", watch=False)
    assert "no registry for images, models and results is known: you may not get configmaps in kube-public" in str(
        refused.value
    )
    assert "--registry HOST/PATH" in refused.value.hint


def test_a_service_account_is_named_as_one(bench: Bench, ada: str, tmp_path: Path) -> None:
    with Life(bench, ada, tmp_path) as life:
        bound = [each for each in life.printed("system:serviceaccount:team:bot") if each["kind"] == "RoleBinding"]
    assert [each["subjects"] for each in bound] == [[{"kind": "ServiceAccount", "namespace": "team", "name": "bot"}]]


@pytest.mark.series
@pytest.mark.timeout(600)
def test_every_right_is_missed_by_name(new_bench: NewBench, tmp_path: Path) -> None:
    """A life with each right taken away in turn, where operators are preferred, so that none is passed over."""
    bench = new_bench(*OPERATORS)
    furnish(bench, *OPERATORS)
    options = {"prefer": PREFERRED}
    roles = printed(bench, tmp_path / "admin", **options)
    ada = bench.cluster.user(ADA)
    for number, act in enumerate(sorted(given(roles) - {LOST_PODS}, key=str)):
        grant(bench, without(roles, act))
        with servers(bench), Life(bench, ada, tmp_path / f"life-{number}", **options) as life:
            with pytest.raises(PlimsollError) as missed:
                life.whole()
            told = str(missed.value)
            assert str(act) in told or f'{act.verb} resource "{act.resource}"' in told or act.what in told, (act, told)
            grant(bench, roles)
            life.target().remove()
