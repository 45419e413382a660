"""`plimsoll tenant` against a cluster in memory."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from plimsoll.cli.main import main
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.tenants import owning
from plimsoll.tenants.tenant import LABEL
from tests.cli.ended import Ended, one_object

Tenant = Callable[..., Ended]
WALLS = ("--cpu", "8", "--memory", "32Gi", "--user", "ada")
NETWORKS = "networking.k8s.io/v1"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    with MemoryCluster(["kueue"], directory=tmp_path) as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        monkeypatch.setattr(owning, "_LOOK", 0.01)
        found.add_node("node-1", extended={"nvidia.com/gpu": 4})
        yield found


@pytest.fixture
def tenant(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tenant:
    """The command in this process, against the cluster."""

    def call(*arguments: str, target: str = cluster.context) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", "tenant", *arguments, "--target", target])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Ended(int(caught.value.code or 0), told.out, told.err)

    return call


def test_a_tenant_is_made_shown_and_made_again_without_a_change(cluster: MemoryCluster, tenant: Tenant) -> None:
    made = tenant("create", "team-a", *WALLS, "--queue", "--accelerators", "2")
    assert made.status == 0, made.err
    assert "made     Namespace team-a" in made.out
    assert "made     ClusterQueue plimsoll-tenant-team-a" in made.out
    before = len([each for each in cluster.seen() if each.changes])
    versions = {str(each["metadata"]["uid"]): each["metadata"]["resourceVersion"] for each in objects(cluster)}
    again = tenant("create", "team-a", *WALLS, "--queue", "--accelerators", "2")
    assert again.out == "the tenant team-a stands as it is asked for; nothing was changed\n"
    assert len([each for each in cluster.seen() if each.changes]) > before, "control: it did apply"
    assert versions == {str(each["metadata"]["uid"]): each["metadata"]["resourceVersion"] for each in objects(cluster)}
    shown = tenant("show", "team-a")
    assert shown.status == 0, shown.out
    assert "cpu 0 of 8, memory 0 of 32Gi, nvidia.com/gpu 0 of 2" in shown.out
    listed = tenant("list")
    assert "team-a" in listed.out
    assert "ada" in listed.out


def objects(cluster: MemoryCluster) -> list[Manifest]:
    kinds = (("v1", "ResourceQuota"), (NETWORKS, "NetworkPolicy"), ("rbac.authorization.k8s.io/v1", "RoleBinding"))
    return [each for place in kinds for each in cluster.list(*place)]


def test_what_is_no_longer_asked_for_is_taken_away(cluster: MemoryCluster, tenant: Tenant) -> None:
    tenant("create", "team-a", *WALLS, "--queue", "--pods", "10")
    fewer = tenant("create", "team-a", "--cpu", "4")
    assert "removed  ClusterQueue plimsoll-tenant-team-a" in fewer.out
    assert "removed  LocalQueue plimsoll-tenant in team-a" in fewer.out
    quota = cluster.find("v1", "ResourceQuota", "plimsoll-tenant", "team-a")
    assert quota is not None
    assert (quota["spec"]["hard"].get("requests.cpu"), quota["spec"]["hard"].get("pods")) == ("4", None)
    binding = cluster.find("rbac.authorization.k8s.io/v1", "RoleBinding", "plimsoll-tenant", "team-a")
    assert binding is not None
    assert [each["name"] for each in binding["subjects"]] == ["plimsoll-tenant"]


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        ("Namespace", {"apiVersion": "v1"}, "Namespace team-a is there and is not the tenant's"),
        (
            "ClusterRole",
            {"apiVersion": "rbac.authorization.k8s.io/v1"},
            "ClusterRole plimsoll-tenant-team-a is there and is not the tenant's",
        ),
    ],
)
def test_a_name_that_is_another_s_is_refused_and_nothing_is_written(
    cluster: MemoryCluster, tenant: Tenant, kind: str, place: dict[str, str], words: str
) -> None:
    name = "team-a" if kind == "Namespace" else "plimsoll-tenant-team-a"
    cluster.put({**place, "kind": kind, "metadata": {"name": name, "labels": {"owner": "somebody"}}})
    refused = tenant("create", "team-a", *WALLS)
    assert refused.status == 1
    assert words in refused.error
    assert not [each for each in cluster.seen() if each.changes]
    deleted = tenant("delete", "team-a", "--yes")
    assert deleted.status == 1
    assert cluster.find(place["apiVersion"], kind, name) is not None


def test_an_object_of_another_tenant_is_named_with_whose_it_is(cluster: MemoryCluster, tenant: Tenant) -> None:
    metadata = {"name": "team-a", "labels": {LABEL: "team-b"}}
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert "it was made by the tenant team-b" in tenant("create", "team-a").error


def test_a_dry_run_prints_the_objects_and_writes_nothing(cluster: MemoryCluster, tenant: Tenant) -> None:
    printed = tenant("create", "team-a", *WALLS, "--dry-run")
    found = list(yaml.safe_load_all(printed.out))
    assert found[0]["kind"] == "Namespace"
    assert {"NetworkPolicy", "ResourceQuota", "LimitRange", "Role", "RoleBinding"} <= {each["kind"] for each in found}
    assert not [each for each in cluster.seen() if each.changes]
    as_json = one_object(tenant("create", "team-a", *WALLS, "--dry-run", "--json"))
    assert as_json["objects"] == found


def test_a_pull_secret_is_given_to_accounts_and_never_printed(
    cluster: MemoryCluster, tenant: Tenant, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"auths": {"registry.example": {"auth": "YWRhOmh1bnRlcjI="}}}')
    dry = tenant("create", "team-a", "--pull-secret", str(config), "--dry-run")
    assert "YWRh" not in dry.out + dry.err
    assert "left out" in dry.err
    assert tenant("create", "team-a", "--pull-secret", str(config)).status == 0
    account = cluster.find("v1", "ServiceAccount", "default", "team-a")
    assert account is not None
    assert account["imagePullSecrets"] == [{"name": "plimsoll-tenant-pull"}]
    assert account["automountServiceAccountToken"] is False
    secret = cluster.find("v1", "Secret", "plimsoll-tenant-pull", "team-a")
    assert secret is not None
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert "removed  Secret plimsoll-tenant-pull in team-a" in tenant("create", "team-a").out
    config.write_text('{"credsStore": "desktop"}')
    assert "has no login" in tenant("create", "team-a", "--pull-secret", str(config)).error
    config.write_bytes(b"\xff\x00")
    refused = tenant("create", "team-a", "--pull-secret", str(config))
    assert refused.status == 2
    assert str(config) in refused.error


def test_show_tells_of_walls_that_somebody_has_moved_and_create_mends_them(
    cluster: MemoryCluster, tenant: Tenant
) -> None:
    tenant("create", "team-a", *WALLS)
    quota = cluster.find("v1", "ResourceQuota", "plimsoll-tenant", "team-a")
    wall = cluster.find(NETWORKS, "NetworkPolicy", "plimsoll-tenant", "team-a")
    assert quota is not None
    assert wall is not None
    cluster.delete({**wall, "apiVersion": NETWORKS, "kind": "NetworkPolicy"})
    api = Api(cluster.context)
    api.patch({**quota, "apiVersion": "v1", "kind": "ResourceQuota"}, {"spec": {"hard": {"requests.cpu": "800"}}})
    shown = tenant("show", "team-a")
    assert shown.status == 1
    assert "wrong   NetworkPolicy plimsoll-tenant is gone" in shown.out
    assert "wrong   ResourceQuota plimsoll-tenant is not as it should be in .spec.hard.requests.cpu" in shown.out
    assert len(one_object(tenant("show", "team-a", "--json"))["problems"]) == 2
    mended = tenant("create", "team-a", *WALLS)
    assert "made     NetworkPolicy plimsoll-tenant in team-a" in mended.out
    assert "changed  ResourceQuota plimsoll-tenant in team-a" in mended.out
    assert tenant("show", "team-a").status == 0
    api.close()


def test_delete_asks_and_takes_the_tenant_s_own_and_nothing_else(cluster: MemoryCluster, tenant: Tenant) -> None:
    tenant("create", "team-a", *WALLS, "--queue")
    tenant("create", "team-b")
    other = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "other"}}
    cluster.put({**other, "rules": []})
    asked = tenant("delete", "team-a")
    assert asked.status == 2
    assert "plimsoll tenant delete team-a --target memory --yes" in asked.error
    assert cluster.find("v1", "Namespace", "team-a") is not None
    gone = tenant("delete", "team-a", "--yes")
    assert gone.status == 0, gone.err
    assert gone.out.splitlines()[-3:][0] == "removed  Namespace team-a"
    assert cluster.find("v1", "Namespace", "team-a") is None
    assert [each["metadata"]["name"] for each in cluster.list("kueue.x-k8s.io/v1beta1", "ClusterQueue")] == []
    left = {each["metadata"]["name"] for each in cluster.list("rbac.authorization.k8s.io/v1", "ClusterRole")}
    assert left == {"other", "plimsoll-tenant-team-b"}
    again = tenant("delete", "team-a", "--yes")
    assert (again.status, "there is no tenant team-a" in again.error) == (1, True)


def test_a_namespace_that_is_no_tenant_is_neither_shown_nor_deleted(cluster: MemoryCluster, tenant: Tenant) -> None:
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    for words in (("show", "shop"), ("delete", "shop", "--yes"), ("kubeconfig", "shop")):
        assert "the namespace shop is there and no tenant" in tenant(*words).error
    assert cluster.find("v1", "Namespace", "shop") is not None
    assert "there are no tenants" in tenant("list").err


def test_a_kubeconfig_has_the_tenant_s_rights_and_no_other(
    cluster: MemoryCluster, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant("create", "team-a", *WALLS)
    tenant("create", "team-b")
    file = tmp_path / "team-a.yaml"
    file.write_text("old")
    made = tenant("kubeconfig", "team-a", "--output", str(file), "--hours", "2")
    assert made.status == 0, made.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("KUBECONFIG", str(file))
    api = Api("team-a")
    assert api.list("v1", "Pod", "team-a") == []
    for namespace in ("team-b", None):
        with pytest.raises(ApiError, match="cannot list resource"):
            api.list("v1", "Pod", namespace)
    with pytest.raises(ApiError, match="cannot patch resource"):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}})
    api.close()


def test_a_home_has_a_kubeconfig_and_a_key_of_the_tenant_s_own(
    cluster: MemoryCluster, tenant: Tenant, tmp_path: Path
) -> None:
    tenant("create", "team-a", *WALLS)
    home = tmp_path / "homes" / "team-a"
    made = tenant("kubeconfig", "team-a", "--home", str(home))
    assert made.out == f"export KUBECONFIG={home}/kubeconfig XDG_CONFIG_HOME={home}\n"
    key = home / "plimsoll" / "keys" / "signing.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert tenant("kubeconfig", "team-a", "--home", str(home)).status == 0
    assert key.read_bytes() == before, "a second kubeconfig keeps the key"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "Team"), "cannot be named 'Team'"),
        (("create", "team-a", "--queue"), "say it with --cpu and --memory"),
        (("create", "team-a", "--cluster-registry"), "the cluster publishes no registry inside itself"),
        (("create", "team-a", "--egress", "example.com"), "a network policy knows addresses and no names"),
        (("show", "../x"), "cannot be named '../x'"),
        (("delete", "default", "--yes"), "belongs to the cluster itself"),
        (("kubeconfig", "team-a", "--output", "a", "--home", "b"), "two places for one file"),
    ],
)
def test_wrong_use_is_refused_with_what_to_do(
    cluster: MemoryCluster, tenant: Tenant, words: tuple[str, ...], said: str
) -> None:
    refused = tenant(*words)
    assert refused.status in (1, 2)
    assert said in refused.error
    assert not [each for each in cluster.seen() if each.changes]


def test_a_cluster_without_kueue_or_policies_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tenant: Tenant
) -> None:
    directory = tmp_path / "plain"
    directory.mkdir()
    with MemoryCluster(directory=directory) as plain:
        plain._objects.kinds.remove("admissionregistration.k8s.io", "validatingadmissionpolicies")
        monkeypatch.setenv("KUBECONFIG", str(plain.kubeconfig))
        assert "needs Kueue" in tenant("create", "team-a", "--cpu", "1", "--memory", "1Gi", "--queue").error
        made = tenant("create", "team-a", "--json")
        notes = json.loads(made.out)["notes"]
        assert any("knows no ValidatingAdmissionPolicy" in each for each in notes)


def test_who_may_not_make_tenants_is_told_which_right_is_missing(cluster: MemoryCluster, tenant: Tenant) -> None:
    refused = tenant("create", "team-a", target=cluster.user("ada"))
    assert refused.status == 1
    assert 'cannot list resource "nodes"' in refused.error
