"""A probe is a value: all that a check needs to know of it stands in its folder, and one table lists the folders."""

from __future__ import annotations

import importlib
import json
import pkgutil
import typing
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import plimsoll.capabilities
from plimsoll.capabilities import access, checking, inventory, probe_namespace
from plimsoll.capabilities.bundle_reader import open_bundle
from plimsoll.capabilities.cleaning import clean
from plimsoll.capabilities.facts import cluster_facts
from plimsoll.capabilities.inventory_records import InventoryRecord
from plimsoll.capabilities.probe import ACCELERATORS, ROOMS, Probe, all_probes, judge, probe_of
from plimsoll.capabilities.records import CheckRecord, CommonRecord, ProbeEnded, observation_of, tags
from plimsoll.capabilities.requirements import REQUIREMENTS
from plimsoll.errors import PlimsollError
from plimsoll.evidence.verdict import Outcome
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.signing.keys import KeyRing
from tests.capabilities.bundled import bundle_of
from tests.capabilities.recorded import recorded

EXPECTED_RIGHTS = json.loads(Path(__file__).with_name("expected_rights.json").read_text())
PROBES = pytest.mark.parametrize("probe", all_probes(), ids=lambda probe: probe.requirement)


def test_every_folder_is_in_the_table_and_every_requirement_has_a_probe() -> None:
    packages = {each.name for each in pkgutil.iter_modules(plimsoll.capabilities.__path__) if each.ispkg}
    assert packages == set(ROOMS)
    assert set(ROOMS) == set(REQUIREMENTS)
    with pytest.raises(KeyError):
        probe_of("no_such_requirement")


@PROBES
def test_a_probe_has_records_rights_and_a_judge_under_its_own_name(probe: Probe) -> None:
    assert probe_of(probe.requirement) is probe
    assert typing.get_args(CommonRecord) == typing.get_args(probe.records)[-len(typing.get_args(CommonRecord)) :]
    ended = (observation_of(probe.requirement, ProbeEnded()),)
    assert judge(probe.requirement, ended).outcome in (Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR)
    for right in (*probe.rights, *probe_namespace.RIGHTS, *inventory.RIGHTS):
        assert right.resources
        assert right.verbs
        assert "*" not in (right.group, *right.resources, *right.verbs)


def modules_of(probe: Probe) -> list[ModuleType]:
    package = importlib.import_module(f"plimsoll.capabilities.{probe.requirement}")
    names = [each.name for each in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


@PROBES
def test_every_record_that_a_probe_can_write_is_one_that_its_judge_reads(probe: Probe) -> None:
    mentioned = {
        value
        for module in modules_of(probe)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, CheckRecord) and value.__struct_config__.tag != value.__name__
    }
    # What the inventory records is read by probes, and written by none.
    written = mentioned - set(typing.get_args(InventoryRecord))
    assert written <= set(typing.get_args(probe.records))
    assert len(tags(probe.records)) == len(typing.get_args(probe.records)), "every type has its own event"


def test_probes_that_hold_accelerators_run_one_after_another() -> None:
    assert [each.requirement for each in all_probes() if each.alone == ACCELERATORS] == [
        "pod_autoscaling",
        "secure_accelerator_access",
        "accelerator_metrics",
        "dra_support",
        "gpu_sharing",
        "virtualized_accelerator",
        "driver_runtime_management",
    ]


def test_the_printed_role_has_the_rights_that_probes_use_and_no_more() -> None:
    granted: dict[str, dict[str, list[str]]] = {}
    for rule in access.cluster_role()["rules"]:
        (group,) = rule["apiGroups"]
        for resource in rule["resources"]:
            assert resource not in granted.setdefault(group, {}), "each resource stands in one rule"
            granted[group][resource] = sorted(rule["verbs"])
    assert granted == EXPECTED_RIGHTS


def test_who_checks_for_the_programme_need_not_be_able_to_make_tenants() -> None:
    resources = {each for rule in access.cluster_role()["rules"] for each in rule["resources"]}
    of_tenants = {each for rule in access.cluster_role("tenants")["rules"] for each in rule["resources"]}
    assert {"roles", "secrets", "serviceaccounts/token", "validatingadmissionpolicies"} <= of_tenants
    assert not {"secrets", "serviceaccounts/token", "validatingadmissionpolicies"} & resources
    assert access.cluster_role("tenants")["metadata"]["name"] == "plimsoll-check-tenants"


class Answers(Api):
    """A cluster that has one object of each kind, and grants every right but those on leases."""

    def __init__(self) -> None:
        self.target = "memory"
        self.deleted: list[str] = []
        self.asked: list[tuple[str, str]] = []

    def serves(self, api_version: str, kind: str) -> bool:
        return True

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        assert selector == "plimsoll.dev/check=run-1"
        return [{"metadata": {"name": f"a-{kind.lower()}"}}]

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        grace: int | None = None,
        exactly: typing.Mapping[str, str] | None = None,
    ) -> None:
        self.deleted.append(f"{api_version}/{kind}/{name}")

    def request(self, method: str, path: str, **more: typing.Any) -> typing.Any:
        attributes = more["body"]["spec"]["resourceAttributes"]
        self.asked.append((attributes["group"], attributes["resource"]))
        return {"status": {"allowed": attributes["resource"] != "leases"}}


def test_cleaning_deletes_the_kinds_that_probes_declare_and_then_namespaces() -> None:
    api = Answers()
    assert clean(api, "run-1") == [
        "ClusterQueue/a-clusterqueue",
        "ResourceFlavor/a-resourceflavor",
        "ValidatingAdmissionPolicyBinding/a-validatingadmissionpolicybinding",
        "ValidatingAdmissionPolicy/a-validatingadmissionpolicy",
        "Namespace/a-namespace",
    ]
    assert api.deleted == [
        "kueue.x-k8s.io/v1beta1/ClusterQueue/a-clusterqueue",
        "kueue.x-k8s.io/v1beta1/ResourceFlavor/a-resourceflavor",
        "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding/a-validatingadmissionpolicybinding",
        "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy/a-validatingadmissionpolicy",
        "v1/Namespace/a-namespace",
    ]


def test_rights_are_asked_for_in_groups_that_are_served_and_the_missing_ones_are_named() -> None:
    api = Answers()
    assert access.missing_rights(api, frozenset({"v1", "coordination.k8s.io/v1"})) == [
        "list leases.coordination.k8s.io"
    ]
    assert {group for group, _ in api.asked} == {"", "coordination.k8s.io"}
    # A picker's account is needed only where there are pools.
    assert ("", "serviceaccounts") in api.asked
    before = api.asked.count(("", "serviceaccounts"))
    api.asked.clear()
    access.missing_rights(api, frozenset({"v1", "inference.networking.k8s.io/v1"}))
    assert api.asked.count(("", "serviceaccounts")) > before


def test_a_check_of_a_cluster_with_nothing_in_it_ends_with_a_sealed_bundle_and_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    facts = cluster_facts([each for each in recorded("inventory") if each.event in ("version", "cluster")])
    told: list[tuple[str, str]] = []
    directory = tmp_path / "bundle"
    directory.mkdir()
    plan = checking.CheckPlan(profile="cncf-1.37")
    judged = checking.check(Answers(), plan, facts, directory, lambda name, what: told.append((name, what)))
    assert {each.verdict.outcome for each in judged} & {Outcome.PASS, Outcome.SKIPPED} == set()
    assert sorted(name for name, _ in told) == sorted(each.requirement for each in judged)
    opened = open_bundle(directory, KeyRing.default())
    assert opened.problems == ()
    assert opened.judged == tuple(judged)


def test_a_bundle_with_a_malformed_inventory_is_told_and_no_traceback(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    bundle = bundle_of(tmp_path / "bundle", keys)
    line = b'{"at":"2026-01-01T00:00:00Z","source":"check","subject":"inventory","fact":{"event":"node","name":1}}\n'
    with (bundle / checking.INVENTORY).open("ab") as file:
        file.write(line)
    with pytest.raises(PlimsollError, match="is no 'node'"):
        open_bundle(bundle, keys)


def test_two_records_of_one_event_are_refused_when_a_probe_is_made() -> None:
    from plimsoll.capabilities.dra_support.records import ClaimAsked
    from plimsoll.capabilities.virtualized_accelerator.records import PartsAsked

    with pytest.raises(TypeError, match="unique `tag` values"):
        msgspec.structs.replace(probe_of("dra_support"), records=ClaimAsked | PartsAsked)
