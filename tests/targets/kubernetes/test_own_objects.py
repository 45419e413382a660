"""What an application writes: its own objects, whatever others have made of them, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.targets.kubernetes import names, own_objects
from plimsoll.targets.kubernetes.own_objects import OwnObjects

Manifest = dict[str, Any]
NAMESPACE = "team"
OURS = names.of_application("shop")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    with MemoryCluster() as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        found.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield found


@pytest.fixture
def api(cluster: MemoryCluster) -> Iterator[Api]:
    found = Api(cluster.context)
    yield found
    found.close()


@pytest.fixture
def own(api: Api) -> OwnObjects:
    return OwnObjects(api, "shop", NAMESPACE)


def service(name: str = "shop-api", labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {**OURS, names.SERVICE: "api"} if labels is None else labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"a": "b"}, "ports": ports} | spec,
    }


def stranger(api: Api, manifest: Manifest, manager: str = "kubectl-create") -> Manifest:
    """Have somebody else make an object."""
    place = api.path(manifest["apiVersion"], manifest["kind"], NAMESPACE)
    found: Manifest = api.request("POST", place, body=manifest, parameters={"fieldManager": manager})
    return found


def edited(api: Api, change: Manifest, manager: str = "kubectl-edit", name: str = "shop-api") -> None:
    """Have somebody else change the service."""
    place = api.path("v1", "Service", NAMESPACE, name)
    parameters = {"fieldManager": manager}
    api.request("PATCH", place, body=change, parameters=parameters, content_type="application/merge-patch+json")


def live(cluster: MemoryCluster, name: str = "shop-api", kind: str = "Service") -> Manifest | None:
    return cluster.find("v1", kind, name, NAMESPACE)


def writes(cluster: MemoryCluster) -> list[str]:
    return [each.method for each in cluster.seen() if each.method != "GET"]


def test_what_is_not_there_is_made_and_what_is_ours_is_changed(cluster: MemoryCluster, own: OwnObjects) -> None:
    assert own.apply(service()) == ""
    assert own.apply(service(selector={"c": "d"})) == ""
    found = live(cluster)
    assert found is not None
    assert found["spec"]["selector"] == {"c": "d"}
    assert [each["manager"] for each in found["metadata"]["managedFields"]] == ["plimsoll"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "it has no label of an application; set by kubectl-create"),
        ({"app.kubernetes.io/managed-by": "Helm"}, "it belongs to Helm (app.kubernetes.io/managed-by)"),
        (names.of_application("shop-eu"), "it belongs to the application shop-eu"),
        (
            {**names.of_application("shop-eu"), names.SERVICE: "api"},
            "it belongs to api of the application shop-eu",
        ),
        ({**OURS, names.SERVICE: "other"}, "it belongs to other of the application shop"),
    ],
    ids=["nobody", "helm", "application", "service", "part"],
)
def test_an_object_of_somebody_else_is_refused_with_its_owner_and_stays_as_it_is(
    cluster: MemoryCluster, api: Api, own: OwnObjects, labels: dict[str, str], told: str
) -> None:
    before = stranger(api, service(labels=labels, selector={"app": "web"}))
    for act in (lambda: own.apply(service()), lambda: own.require([service()])):
        with pytest.raises(TargetError) as refused:
            act()
        assert "Service shop-api, which the service api of shop would have, is somebody else's" in refused.value.message
        assert told in refused.value.message
        assert refused.value.where == "namespace team"
        assert "rename the service" in refused.value.hint
        assert refused.value.lasting
    assert not own.delete(service())
    assert live(cluster) == before


def test_nothing_is_written_when_one_of_several_objects_is_somebody_elses(
    cluster: MemoryCluster, api: Api, own: OwnObjects
) -> None:
    stranger(api, service("shop-b", labels={}))
    done = len(writes(cluster))
    with pytest.raises(TargetError):
        own.require([service("shop-a"), service("shop-b")])
    assert len(writes(cluster)) == done


def test_what_somebody_makes_at_the_same_moment_is_left_as_they_made_it(
    cluster: MemoryCluster, api: Api, own: OwnObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = service(labels={"theirs": "yes"})
    unseen = iter([None])
    look = own.find
    monkeypatch.setattr(own, "find", lambda manifest: next(unseen, look(manifest)))
    before = stranger(api, theirs)
    with pytest.raises(TargetError, match="somebody else's"):
        own.apply(service())
    after = live(cluster)
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == {"theirs": "yes"}
    assert [each["manager"] for each in after["metadata"]["managedFields"]] == ["kubectl-create"]


def test_what_another_manager_had_set_is_set_again_and_told_by_name(
    cluster: MemoryCluster, api: Api, own: OwnObjects
) -> None:
    own.apply(service())
    edited(api, {"spec": {"selector": {"a": "elsewhere"}}})
    told = own.apply(service())
    assert told == (
        "Service shop-api is as the application says again; others had set fields of it: .spec.selector by kubectl-edit"
    )
    found = live(cluster)
    assert found is not None
    assert found["spec"]["selector"] == {"a": "b"}


def test_a_second_manager_that_says_the_same_is_none_to_tell_of(api: Api, own: OwnObjects) -> None:
    own.apply(service())
    place = api.path("v1", "Service", NAMESPACE, "shop-api")
    parameters = {"fieldManager": "argocd-controller", "force": "false"}
    api.request("PATCH", place, body=service(), parameters=parameters, content_type="application/apply-patch+yaml")
    assert own.apply(service()) == ""
    assert own.problems([service()]) == []
    assert own.require([service()]) == ["argocd-controller"]


def test_who_has_only_labelled_an_object_is_no_second_manager(api: Api, own: OwnObjects) -> None:
    own.apply(service())
    edited(api, {"metadata": {"labels": {"team": "ml"}}}, manager="kubectl-label")
    assert own.require([service()]) == []


def test_an_object_that_was_replaced_meanwhile_is_looked_at_anew(
    cluster: MemoryCluster, api: Api, own: OwnObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.apply(service())
    old = own.find(service())
    seen = iter([old])
    look = own.find
    cluster.delete(service())
    stranger(api, service(labels={}))
    monkeypatch.setattr(own, "find", lambda manifest: next(seen, None) or look(manifest))
    with pytest.raises(TargetError, match="somebody else's"):
        own.apply(service())
    seen = iter([old])
    assert not own.delete(service())
    assert live(cluster) is not None


def test_deletion_asks_for_exactly_what_was_looked_at(cluster: MemoryCluster, own: OwnObjects) -> None:
    own.apply(service())
    assert own.delete(service())
    assert live(cluster) is None
    assert not own.delete(service())


def test_what_is_leaving_is_waited_for(
    cluster: MemoryCluster, own: OwnObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_objects, "LEAVING_LIMIT", 0.0)
    own.apply(service())
    held = live(cluster)
    assert held is not None
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.put(held)
    cluster.delete(held)
    assert [each.sentence for each in own.problems([service()])] == ["Service shop-api is being deleted"]
    with pytest.raises(TargetError, match="Service shop-api is being deleted and did not end") as refused:
        own.apply(service())
    assert "example.com/hold" in refused.value.hint


def test_what_is_gone_or_changed_is_named_and_nothing_else(cluster: MemoryCluster, api: Api, own: OwnObjects) -> None:
    first, second = service(), service("shop-b")
    assert [each.sentence for each in own.problems([first])] == ["Service shop-api is gone"]
    for each in (first, second):
        own.apply(each)
    assert own.problems([first, second]) == []
    edited(api, {"spec": {"selector": {"more": "narrow"}}})
    edited(api, {"metadata": {"labels": {"team": "ml"}}}, name="shop-b")
    assert [each.sentence for each in own.problems([first, second])] == [
        "Service shop-api is not as it should be in .spec.selector"
    ]
    edited(api, {"spec": {"externalName": "elsewhere"}}, name="shop-b")
    assert [each.sentence for each in own.problems([second])] == [
        "Service shop-b has fields that others have set: .spec.externalName by kubectl-edit"
    ]


def test_what_may_not_be_read_is_taken_for_good(cluster: MemoryCluster, own: OwnObjects) -> None:
    cluster.deny(verb="get", resource="services")
    assert own.problems([service()]) == []
