"""The rules of pods as a cluster holds them: three forms that agree, on every kind and every way around them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from plimsoll.errors import FileError
from plimsoll.kinds.table import KINDS as PARTS
from plimsoll.policy.admission.admission_policy import admission_policy
from plimsoll.policy.admission.gatekeeper import gatekeeper
from plimsoll.policy.admission.rendering import rendered

from .admission_in_memory import AdmissionPolicies, Gatekeeper
from .cluster_objects import CHEATS, DIGEST, FINE, KINDS, POLICIES, REGISTRY, cheated, container, fine, pod, workload

NAMES = ["shop"]


@pytest.fixture(scope="module")
def policies() -> AdmissionPolicies:
    policy, binding = admission_policy("plimsoll-tiny", POLICIES, NAMES)
    return AdmissionPolicies(policy, binding)


@pytest.fixture(scope="module")
def templates() -> Gatekeeper:
    pytest.importorskip("regopy")
    template, constraint = gatekeeper("plimsoll-tiny", POLICIES, NAMES)
    return Gatekeeper(template, constraint)


@pytest.mark.parametrize("name", CHEATS)
def test_each_way_around_a_rule_is_refused_by_the_api_server(name: str, policies: AdmissionPolicies) -> None:
    spec, rules = cheated(name)
    assert set(policies.refusals("CREATE", pod(spec))) == rules


@pytest.mark.parametrize("name", CHEATS)
def test_each_way_around_a_rule_is_refused_by_gatekeeper(name: str, templates: Gatekeeper) -> None:
    spec, rules = cheated(name)
    assert templates.refusals("CREATE", pod(spec)) == rules


@pytest.mark.parametrize("kind", KINDS)
def test_what_makes_pods_is_judged_as_they_are(kind: str, policies: AdmissionPolicies, templates: Gatekeeper) -> None:
    spec, rules = cheated("an init container")
    assert set(policies.refusals("CREATE", workload(kind, spec))) == rules
    assert templates.refusals("CREATE", workload(kind, spec)) == rules
    assert policies.refusals("CREATE", workload(kind, fine("nothing changed"))) == []
    assert templates.refusals("CREATE", workload(kind, fine("nothing changed"))) == set()


@pytest.mark.parametrize("name", FINE)
def test_what_keeps_the_rules_is_admitted_by_the_api_server(name: str, policies: AdmissionPolicies) -> None:
    assert policies.refusals("CREATE", pod(fine(name))) == []


@pytest.mark.parametrize("name", FINE)
def test_what_keeps_the_rules_is_admitted_by_gatekeeper(name: str, templates: Gatekeeper) -> None:
    assert templates.refusals("CREATE", pod(fine(name))) == set()


def test_an_ephemeral_container_is_judged_when_it_is_added(policies: AdmissionPolicies, templates: Gatekeeper) -> None:
    before = pod(fine("nothing changed"))
    after = copy.deepcopy(before)
    after["spec"]["ephemeralContainers"] = [container("shell", f"evil.example/shell{DIGEST}")]
    assert policies.refusals("UPDATE", after, before) == ["registries"]
    assert templates.refusals("UPDATE", after, before) == {"registries"}


def test_an_image_that_is_changed_later_is_judged(policies: AdmissionPolicies, templates: Gatekeeper) -> None:
    before = pod(fine("nothing changed"))
    after = copy.deepcopy(before)
    after["spec"]["containers"][0]["image"] = f"{REGISTRY}/train:latest"
    assert policies.refusals("UPDATE", after, before) == ["images-pinned"]
    assert templates.refusals("UPDATE", after, before) == {"images-pinned"}


def test_what_stands_already_may_lose_its_finalizers(policies: AdmissionPolicies, templates: Gatekeeper) -> None:
    before = pod(cheated("privileged")[0])
    before["metadata"]["finalizers"] = ["plimsoll.dev/own"]
    after = copy.deepcopy(before)
    after["metadata"]["finalizers"] = []
    assert policies.refusals("UPDATE", after, before) == []
    assert templates.refusals("UPDATE", after, before) == set()


def test_labels_and_annotations_exempt_nothing(policies: AdmissionPolicies, templates: Gatekeeper) -> None:
    cheat = pod(cheated("a tag")[0])
    cheat["metadata"] |= {
        "generateName": "plimsoll-",
        "labels": {"app.kubernetes.io/managed-by": "plimsoll", "kubernetes.io/metadata.name": "kube-system"},
        "annotations": {"plimsoll.dev/policy": "off"},
    }
    assert policies.refusals("CREATE", cheat) == ["images-pinned"]
    assert templates.refusals("CREATE", cheat) == {"images-pinned"}


def test_only_what_the_file_asks_for_is_rendered(tmp_path: Path) -> None:
    file = PARTS.load(_written(tmp_path, "{supply-chain: {images: {pinned: true}}}"))
    policy, binding = rendered(file, "admission-policy", ["shop", "data"])
    assert [each["message"].partition(":")[0] for each in policy["spec"]["validations"]] == ["images-pinned"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    selector = binding["spec"]["matchResources"]["namespaceSelector"]
    assert selector["matchExpressions"][0]["key"] == "kubernetes.io/metadata.name"
    assert selector["matchExpressions"][0]["values"] == ["data", "shop"]
    template, constraint = rendered(file, "gatekeeper", ["shop"])
    assert constraint["kind"] == template["spec"]["crd"]["spec"]["names"]["kind"]
    assert constraint["spec"]["parameters"]["rules"] == ["images-pinned"]
    assert yaml.safe_load(yaml.safe_dump(template)) == template


def test_the_same_application_in_other_namespaces_has_objects_of_its_own(tmp_path: Path) -> None:
    file = PARTS.load(_written(tmp_path, "{pods: restricted}"))
    names = {rendered(file, "admission-policy", [each])[0]["metadata"]["name"] for each in ("shop", "data")}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("policies", "namespace", "message"),
    [
        ("{supply-chain: {require: [signed]}}", "shop", "ask for nothing of pods"),
        ("{pods: restricted}", "Shop", "is not the name of a namespace"),
        ("{pods: restricted}", "a,b", "is not the name of a namespace"),
    ],
)
def test_what_cannot_be_rendered_is_refused(tmp_path: Path, policies: str, namespace: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        rendered(PARTS.load(_written(tmp_path, policies)), "admission-policy", [namespace])


def _written(directory: Path, policies: str) -> Path:
    path = directory / "plimsoll.yaml"
    head = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: tiny}\nspec:\n"
    path.write_text(f"{head}  policies: {policies}\n")
    return path
