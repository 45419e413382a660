"""Direct requests to the API server behave like kubectl, and errors carry the server's message."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from lab import api, layout
from lab.errors import LabError
from lab.kubectl import apply, delete, get, kubectl
from tests.lab.cluster import Manifest, Namespace

needs_lab = pytest.mark.lab


def config_map(namespace: Namespace, name: str, **fields: object) -> Manifest:
    metadata = {"name": name, "namespace": namespace.name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


@needs_lab
@pytest.mark.parametrize("word", ["deployments", "deployment", "deploy", "Deployment", "deployments.apps"])
def test_a_kind_is_known_by_every_name_that_kubectl_knows(namespace: Namespace, word: str) -> None:
    asked = ("get", word, "coredns", "-nkube-system", "--output=json")
    assert get(word, "coredns", namespace="kube-system")["metadata"] == json.loads(kubectl(*asked))["metadata"]


@needs_lab
def test_what_is_refused_is_named_and_the_rest_is_applied(namespace: Namespace) -> None:
    wrong, right = config_map(namespace, "wrong", dta={"word": "x"}), config_map(namespace, "right", data={"word": "x"})
    with pytest.raises(LabError, match=r"ConfigMap 'wrong': Error from server .*\.dta: field not declared"):
        apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [wrong, right]}))
    assert get("configmap", "right", namespace=namespace.name)["data"] == {"word": "x"}
    with pytest.raises(LabError, match=r"NotFound.*configmaps \"wrong\" not found"):
        get("configmap", "wrong", namespace=namespace.name)


@needs_lab
def test_an_object_of_a_definition_that_was_just_made_is_taken(namespace: Namespace) -> None:
    group, kind = f"g{secrets.token_hex(4)}.example.com", "Thing"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": "things", "singular": "thing"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    apply(json.dumps(definition))
    try:
        namespace.create({"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "first"}})
        (found,) = get(f"things.{group}", namespace=namespace.name)
        assert (found["kind"], found["metadata"]["name"]) == (kind, "first")
    finally:
        delete("customresourcedefinition", f"things.{group}")


@needs_lab
def test_what_is_gone_is_deleted_without_complaint_and_no_kind_is_made_up(namespace: Namespace) -> None:
    delete("configmap", "nobody", namespace=namespace.name)
    with pytest.raises(LabError, match="the server has no resource type 'nonsense'"):
        get("nonsense")


def test_without_a_lab_it_says_that_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "KUBECONFIG", tmp_path / "kubeconfig")
    with pytest.raises(LabError, match="the lab does not run; 'python -m lab up' starts it"):
        api.request("GET", "/readyz")
