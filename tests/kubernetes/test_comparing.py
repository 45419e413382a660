"""An object held against what it should be: every change of what is wanted is found, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.kubernetes.comparing import differences
from plimsoll.kubernetes.field_managers import added, managers, sharers

Manifest = dict[str, Any]
leaves = st.one_of(st.booleans(), st.integers(-5, 5), st.text("abc", min_size=1, max_size=3))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, min_size=1),
    ),
    max_leaves=5,
)
specs = st.dictionaries(st.text("xyz", min_size=1, max_size=2), values, min_size=1, max_size=4)


def manifest(spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "one", "labels": {"a": "b"}}, "spec": spec}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where all fields and items are."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, below in inner for each in ((*at, key), *places(below, (*at, key)))]


def parent(found: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        found = found[key]
    return found


@settings(max_examples=25)
@given(specs)
def test_what_stands_as_wanted_has_no_difference(spec: Manifest) -> None:
    stands = manifest(copy.deepcopy(spec))
    stands["metadata"] |= {"uid": "1", "resourceVersion": "7", "managedFields": []}
    stands["status"] = {"phase": "Active"}
    assert differences(manifest(spec), stands) == []


@settings(max_examples=25)
@given(specs, st.data())
def test_every_field_that_is_taken_away_or_changed_is_found(spec: Manifest, data: st.DataObject) -> None:
    stands = manifest(copy.deepcopy(spec))
    place = data.draw(st.sampled_from(places(spec)))
    around = parent(stands["spec"], place)
    if data.draw(st.booleans()):
        del around[place[-1]]
    else:
        around[place[-1]] = "something that no draw gives"
    assert differences(manifest(spec), stands) != []


@settings(max_examples=25)
@given(specs, st.data())
def test_an_item_more_in_a_list_is_a_difference_and_a_field_more_is_none(spec: Manifest, data: st.DataObject) -> None:
    stands = manifest(copy.deepcopy(spec))
    stands["spec"]["beside"] = {"filled": "in"}
    assert differences(manifest(spec), stands) == []
    lists = [place for place in places(spec) if isinstance(parent(spec, (*place, None)), list)]
    if lists:
        parent(stands["spec"], (*data.draw(st.sampled_from(lists)), None)).append("more")
        assert differences(manifest(spec), stands) != []


@pytest.mark.parametrize(
    ("wanted", "stands", "paths"),
    [
        ({"selector": {"a": "b"}}, {"selector": {"a": "b", "c": "d"}}, [".spec.selector"]),
        ({"limits": {}}, {}, []),
        ({"resources": {"limits": {"cpu": "1000m"}}}, {"resources": {"limits": {"cpu": "1"}}}, []),
        (
            {"resources": {"limits": {"cpu": "2"}}},
            {"resources": {"limits": {"cpu": "1"}}},
            [".spec.resources.limits.cpu"],
        ),
        ({"version": "1.0"}, {"version": "1"}, [".spec.version"]),
        ({"replicas": 0}, {}, [".spec.replicas"]),
    ],
    ids=["selector", "nothing", "quantity", "another quantity", "no quantity", "zero"],
)
def test_what_counts_as_the_same(wanted: Manifest, stands: Manifest, paths: list[str]) -> None:
    assert differences(manifest(wanted), manifest(stands)) == paths


def managed(manager: str, fields: Manifest, **more: str) -> Manifest:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


def test_what_others_have_added_is_told_by_their_names() -> None:
    wanted = manifest({"ports": [{"port": 80, "name": "http"}], "selector": {"a": "b"}})
    stands = copy.deepcopy(wanted)
    ports: Manifest = {
        'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}},
        'k:{"port":443,"protocol":"TCP"}': {".": {}},
    }
    stands["metadata"]["managedFields"] = [
        managed("plimsoll", {"f:spec": {"f:ports": {}, "f:selector": {}}}),
        managed("kubectl-edit", {"f:spec": {"f:ports": ports, "f:externalName": {}}}),
        managed("team-labeller", {"f:metadata": {"f:labels": {"f:team": {}}}}),
        managed("kube-controller-manager", {"f:spec": {"f:replicas": {}}}),
        managed("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
    ]
    assert added(stands, wanted) == {"kubectl-edit": [".spec.ports[port=443,protocol=TCP]", ".spec.externalName"]}
    assert managers(stands) == ["plimsoll", "kubectl-edit", "team-labeller", "kube-controller-manager"]
    assert sharers(stands) == []
    applied = {**managed("flux", {"f:spec": {"f:ports": ports}}), "operation": "Apply"}
    stands["metadata"]["managedFields"] += [applied, managed("helm", {"f:spec": {"f:ports": ports}})]
    assert sharers(stands) == ["flux", "helm"]
