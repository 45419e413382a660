"""A Rego policy refuses objects that break it, and no others."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.kubectl import get, kubectl
from tests.lab.addons.test_gangs import apply_all
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
REGO = """
package owned
violation[{"msg": msg}] {
  not input.review.object.metadata.labels.owner
  msg := "nobody owns it"
}
"""


def test_a_config_map_without_an_owner_is_refused_and_its_twin_taken(up: Up, namespace: Namespace) -> None:
    up("gatekeeper")
    target = {"target": "admission.k8s.gatekeeper.sh", "rego": REGO}
    template = {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": "owned"},
        "spec": {"crd": {"spec": {"names": {"kind": "Owned"}}}, "targets": [target]},
    }
    apply_all(template)
    try:
        until(
            lambda: get("constrainttemplate", "owned").get("status", {}).get("created"), limit=60, what="the template"
        )
        until(lambda: _constrained(namespace), limit=60, what="the constraint's kind")
        until(lambda: _refused(namespace, "without"), limit=60, what="the refusal")
        apply_all(_config_map(namespace, "with", {"owner": "somebody"}))
    finally:
        kubectl("delete", "constrainttemplate", "owned", "--wait=false")


def _config_map(namespace: Namespace, name: str, labels: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace.name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _constrained(namespace: Namespace) -> bool:
    match = {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}], "namespaces": [namespace.name]}
    constraint = {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": "Owned",
        "metadata": {"name": "config-maps"},
        "spec": {"match": match},
    }
    try:
        apply_all(constraint)
    except LabError:
        return False
    return True


def _refused(namespace: Namespace, name: str) -> bool:
    try:
        apply_all(_config_map(namespace, name, {}))
    except LabError as error:
        return "nobody owns it" in str(error)
    kubectl("delete", "configmap", name, f"-n{namespace.name}")
    return False
