"""The namespace of an application, and its removal: everything of the application, and nothing of anybody else."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.kubernetes.content import content
from plimsoll.kubernetes.memory import Fault
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import cleanup, names, namespace
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Manifest, done
from tests.targets.kubernetes.serving import inference, registered, serve_step

pytestmark = pytest.mark.slow


def labels_of(bench: Bench, name: str = APPLICATION) -> dict[str, str]:
    found = bench.find("Namespace", name, namespace="")
    assert found is not None
    return dict(found["metadata"].get("labels", {}))


def foreign(kind: str, api_version: str = "v1", name: str = "theirs", **content: Any) -> Manifest:
    """An object of somebody else in the application's namespace."""
    metadata = {"name": name, "namespace": APPLICATION, "labels": {"app": "theirs"}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def foreign_namespace(bench: Bench) -> None:
    """A namespace that was there before the application."""
    bench.target().api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})


def all_in(bench: Bench, place: str = APPLICATION) -> set[str]:
    """Everything in a namespace as kind/name, without what every namespace has and what controllers have made."""
    return {
        f"{each['kind']}/{each['metadata']['name']}"
        for each in content(bench.target().api, place).found
        if not each["metadata"].get("ownerReferences")
        and (each["kind"], each["metadata"]["name"])
        not in (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
    }


def with_a_service(bench: Bench, session: KubernetesSession) -> AnyStep:
    """Have a service and finished workloads in the application's namespace."""
    with inference(bench):
        step = serve_step(bench, registered(bench, session))
        done(session, step)
    return step


def test_a_namespace_is_made_with_the_restricted_level_and_our_label(bench: Bench) -> None:
    bench.session()
    labels = labels_of(bench)
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels[names.APPLICATION] == APPLICATION


def test_a_namespace_that_is_there_is_used_as_it_is(bench: Bench) -> None:
    foreign_namespace(bench)
    bench.session()
    assert labels_of(bench) == {"kubernetes.io/metadata.name": APPLICATION}
    assert f"{APPLICATION}-trust" in bench.objects("ConfigMap")


def test_the_end_of_a_namespace_of_before_is_waited_for(bench: Bench) -> None:
    held = foreign("ConfigMap")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    bench.session()
    bench.cluster.put(held)
    found = bench.find("Namespace", APPLICATION, namespace="")
    assert found is not None
    bench.cluster.delete(found)
    begun: list[KubernetesSession] = []
    beginning = threading.Thread(target=lambda: begun.append(bench.session()))
    beginning.start()
    asked = bench.asked("GET", f"/namespaces/{APPLICATION}")
    assert bench.cluster.wait_for(lambda: bench.asked("GET", f"/namespaces/{APPLICATION}") > asked)
    assert begun == []
    held["metadata"]["finalizers"] = []
    bench.cluster.put(held)
    bench.cluster.delete(held)
    beginning.join(30)

    assert begun
    after = bench.find("Namespace", APPLICATION, namespace="")
    assert after is not None
    assert after["metadata"]["uid"] != found["metadata"]["uid"]


def test_a_namespace_that_does_not_end_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "REMOVAL_LIMIT", 0.3)
    bench.session()
    held = foreign("ConfigMap")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    bench.cluster.put(held)
    found = bench.find("Namespace", APPLICATION, namespace="")
    assert found is not None
    bench.cluster.delete(found)
    with pytest.raises(
        TargetError, match=r"the namespace did not end within 0\.3 s: configmaps/theirs waits for"
    ) as refused:
        bench.session()
    assert "the finalizer example.com/hold" in refused.value.message


def test_removal_takes_everything_of_the_application_and_its_namespace(bench: Bench) -> None:
    session = bench.session()
    with_a_service(bench, session)
    removed = bench.target().remove()

    assert bench.find("Namespace", APPLICATION, namespace="") is None
    assert all_in(bench) == set()
    kinds = {each.partition("/")[0] for each in removed}
    assert {"Deployment", "Service", "ConfigMap", "NetworkPolicy", "Job", "Namespace"} <= kinds


def test_removal_of_nothing_removes_nothing(bench: Bench) -> None:
    assert bench.target().remove() == []


def test_what_somebody_else_has_in_their_namespace_stays_with_it(bench: Bench) -> None:
    foreign_namespace(bench)
    session = bench.session()
    theirs = [
        foreign("ConfigMap", data={"a": "b"}),
        foreign("Secret", stringData={"a": "b"}),
        foreign("Service", spec={"ports": [{"port": 80}]}),
        foreign("ServiceAccount"),
        foreign("PersistentVolumeClaim", spec={}),
        foreign("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {}}),
    ]
    for each in theirs:
        bench.cluster.put(each)
    with_a_service(bench, session)
    removed = bench.target().remove()

    assert removed
    assert "Namespace/shop" not in removed
    assert all_in(bench) == {f"{each['kind']}/theirs" for each in theirs}


@pytest.mark.parametrize(
    "theirs",
    [
        foreign("Secret", name="plimsoll-data", stringData={"AWS_SECRET_ACCESS_KEY": "x"}),
        foreign("PersistentVolumeClaim", spec={}),
        foreign("StatefulSet", "apps/v1", spec={"replicas": 0, "selector": {}, "template": {}}),
    ],
    ids=["secret", "claim", "workload"],
)
def test_a_namespace_that_was_made_for_the_application_stays_while_somebody_else_has_something_in_it(
    bench: Bench, theirs: Manifest
) -> None:
    bench.session()
    bench.cluster.put(theirs)
    removed = bench.target().remove()

    assert removed == [f"ConfigMap/{APPLICATION}-trust"]
    assert all_in(bench) == {f"{theirs['kind']}/{theirs['metadata']['name']}"}


def test_an_application_that_shares_the_namespace_goes_on(bench: Bench) -> None:
    with_a_service(bench, bench.session(bench.target(namespace=APPLICATION)))
    other = bench.target("other", directory=bench.directory / "other", namespace=APPLICATION)
    with inference(bench):
        session = bench.session(other)
        step = serve_step(bench, registered(bench, session))
        done(session, step)
    removed = bench.target(namespace=APPLICATION).remove()

    assert f"Namespace/{APPLICATION}" not in removed
    assert not [each for each in removed if "other" in each]
    assert session.result(step) is not None
    assert dict(bench.target(namespace=APPLICATION).services()) == {}
    assert list(other.services()) == ["api"]


def test_a_namespace_that_may_hold_what_may_not_be_listed_stays_and_the_user_is_told(bench: Bench) -> None:
    bench.session()
    bench.cluster.deny(verb="list", resource="secrets")
    said: list[str] = []
    assert bench.target().remove(said.append) == [f"ConfigMap/{APPLICATION}-trust"]
    assert said == [f"the namespace {APPLICATION} stays: it may hold secrets, which may not be listed"]


def test_what_does_not_go_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "REMOVAL_LIMIT", 0.3)
    monkeypatch.setattr(cleanup, "BEYOND_GRACE", 0.3)
    foreign_namespace(bench)
    bench.session()
    held = bench.find("ConfigMap", f"{APPLICATION}-trust")
    assert held is not None
    held["metadata"]["finalizers"] = ["example.com/hold"]
    bench.cluster.put(held)
    with pytest.raises(TargetError, match=rf"ConfigMap/{APPLICATION}-trust did not end within 0\.3 s") as refused:
        bench.target().remove()
    assert "finalizers" in refused.value.hint


def test_a_deletion_that_the_server_has_no_breath_for_is_tried_again(bench: Bench) -> None:
    bench.session()
    bench.cluster.fail(Fault(when=lambda request: request.method == "DELETE", status=503))
    assert f"ConfigMap/{APPLICATION}-trust" in bench.target().remove()
    assert bench.find("Namespace", APPLICATION, namespace="") is None


def test_a_custom_object_that_nobody_told_us_of_keeps_the_namespace_and_is_named(bench: Bench) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    bench.target().api.create(definition)
    bench.session()
    bench.cluster.put(foreign("Widget", "example.com/v1"))
    said: list[str] = []
    assert bench.target().remove(said.append) == [f"ConfigMap/{APPLICATION}-trust"]
    (told,) = said
    assert told.startswith(f"the namespace {APPLICATION} stays: it holds Widget/theirs (")
    assert all_in(bench) == {"Widget/theirs"}


def test_whoever_goes_last_takes_the_namespace_away_that_a_run_has_made(bench: Bench) -> None:
    first = bench.target(namespace="team")
    second = bench.target("other", directory=bench.directory / "other", namespace="team")
    for each in (first, second):
        bench.session(each)
    assert "Namespace/team" not in first.remove()
    assert names.APPLICATION not in labels_of(bench, "team")
    assert second.remove() == ["ConfigMap/other-trust", "Namespace/team"]


def test_what_a_stranger_has_under_our_names_stays_theirs(bench: Bench) -> None:
    foreign_namespace(bench)
    account = bench.cluster.put(foreign("ServiceAccount", name=APPLICATION))
    session = bench.session()
    with inference(bench):
        step = serve_step(bench, registered(bench, session))
        end = Carried(session.start(step, 1)).end()
    assert end.outcome == "failed"
    assert f"ServiceAccount {APPLICATION}, which the application {APPLICATION} would have, is somebody" in end.reason
    assert "rename the application" in end.reason
    assert bench.objects("Deployment", "apps/v1") == []
    assert bench.objects("NetworkPolicy", "networking.k8s.io/v1") == []
    bench.target().remove()
    assert bench.find("ServiceAccount", APPLICATION) == account


def test_who_looks_for_the_application_in_the_wrong_namespace_is_told_the_right_one(bench: Bench) -> None:
    bench.session(bench.target(namespace="team"))
    said: list[str] = []
    assert bench.target().remove(said.append) == []
    assert said == ["the application has objects in team: name the namespace with --namespace"]
