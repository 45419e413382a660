"""What keeps a namespace: everything in it that is neither the application's nor made for something else."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.neighbours import neighbours, remnants, told

Manifest = dict[str, Any]


def thing(kind: str, name: str, owner: str = "", labels: dict[str, str] | None = None, **more: Any) -> Manifest:
    metadata: Manifest = {"name": name, "uid": f"uid-{name}", "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"kind": "Any", "name": owner, "uid": f"uid-{owner}"}]
    metadata |= more.pop("metadata", {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


OURS = thing("Service", "ours", labels=names.of_application("shop"))


@pytest.mark.parametrize(
    "theirs",
    [
        thing("Secret", "theirs"),
        thing("Widget", "of-a-kind-that-nobody-knows"),
        thing("ConfigMap", "other", labels=names.of_application("other")),
        thing("ServiceAccount", "builder"),
    ],
    ids=["secret", "custom", "application", "account"],
)
def test_what_is_somebody_elses_keeps_the_namespace(theirs: Manifest) -> None:
    assert neighbours("shop", [OURS, theirs]) == [theirs]


@pytest.mark.parametrize(
    "furnished",
    [
        thing("ConfigMap", "kube-root-ca.crt"),
        thing("ServiceAccount", "default"),
        thing("Secret", "default-token-x", type="kubernetes.io/service-account-token"),
        thing("EndpointSlice", "ours-x", owner="ours"),
        thing("Endpoints", "ours", labels={"endpoints.kubernetes.io/managed-by": "endpoint-controller"}),
    ],
    ids=["authorities", "account", "token", "slice", "endpoints"],
)
def test_what_every_namespace_has_and_what_is_made_for_an_object_keeps_nothing(furnished: Manifest) -> None:
    assert neighbours("shop", [OURS, furnished]) == []
    assert remnants("shop", [OURS, furnished]) == []


def test_what_was_made_for_something_that_is_not_there_may_be_about_to_go() -> None:
    left = thing("ReplicaSet", "left", owner="gone")
    assert neighbours("shop", [left]) == []
    assert remnants("shop", [left]) == [left]


def test_a_few_are_named_with_their_owners_and_the_others_counted() -> None:
    mine = thing("Secret", "data", metadata={"managedFields": [{"manager": "kubectl-create", "operation": "Update"}]})
    assert told([mine], []) == "it holds Secret/data (it has no label of an application; set by kubectl-create)"
    assert told([thing("Secret", f"s{each}") for each in range(5)], []).endswith("and 2 more")
    assert told([], ["secrets", "widgets"]) == "it may hold secrets, widgets, which may not be listed"
