"""What a tenant becomes, and what no tenant can be: without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from plimsoll.errors import FileError
from plimsoll.kubernetes.api import Manifest
from plimsoll.tenants.facts import TenantFacts, is_accelerator
from plimsoll.tenants.manifests import manifests
from plimsoll.tenants.rights import IN_NAMESPACE
from plimsoll.tenants.tenant import LABEL, Tenant, decoded, reached, require_valid

FACTS = TenantFacts(
    accelerators=("nvidia.com/gpu",),
    classes=("gpu.nvidia.com",),
    queues=True,
    policies=True,
    priority="usual",
    registry=("registry", "images"),
)
TENANT = Tenant(name="team-a", cpu="8", memory="32Gi", accelerators=2, users=("ada",), groups=("team-a",))


def made(tenant: Tenant = TENANT, facts: TenantFacts = FACTS) -> dict[tuple[str, str, str], Manifest]:
    found = manifests(tenant, facts)
    named = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in found}
    assert len(named) == len(found)
    return named


def test_every_object_says_whose_it_is_and_the_same_tenant_gives_the_same_objects() -> None:
    assert {each["metadata"]["labels"][LABEL] for each in made().values()} == {"team-a"}
    assert manifests(TENANT, FACTS) == manifests(TENANT, FACTS)
    assert decoded(made()["Namespace", "", "team-a"]["metadata"]["annotations"]["plimsoll.dev/tenant-asked"]) == TENANT


def test_walls_are_made_before_people_come_in() -> None:
    kinds = [each["kind"] for each in manifests(TENANT, FACTS)]
    assert kinds[0] == "Namespace"
    assert max(kinds.index(each) for each in ("ResourceQuota", "NetworkPolicy", "ValidatingAdmissionPolicy")) < min(
        kinds.index(each) for each in ("RoleBinding", "ClusterRoleBinding")
    )


def test_a_quota_counts_what_was_given_and_gives_nothing_of_what_was_not() -> None:
    hard = made()["ResourceQuota", "team-a", "plimsoll-tenant"]["spec"]["hard"]
    assert hard["requests.cpu"] == "8"
    assert hard["requests.nvidia.com/gpu"] == "2"
    assert hard["gpu.nvidia.com.deviceclass.resource.k8s.io/devices"] == "2"
    none = made(replace(TENANT, accelerators=0))["ResourceQuota", "team-a", "plimsoll-tenant"]["spec"]["hard"]
    assert none["requests.nvidia.com/gpu"] == "0"
    assert hard["services.loadbalancers"] == hard["services.nodeports"] == "0"


def test_no_pod_has_another_priority_than_the_usual_one() -> None:
    scopes = made()["ResourceQuota", "team-a", "plimsoll-tenant-priority"]["spec"]["scopeSelector"]
    assert [(each["operator"], each.get("values")) for each in scopes["matchExpressions"]] == [
        ("Exists", None),
        ("NotIn", ["usual"]),
    ]


def test_the_wall_lets_out_to_its_own_pods_and_to_names_and_to_what_was_asked_for() -> None:
    wall = made()["NetworkPolicy", "team-a", "plimsoll-tenant"]["spec"]
    assert wall["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert wall["policyTypes"] == ["Ingress", "Egress"]
    own, names = wall["egress"]
    assert own == {"to": [{"podSelector": {}}]}
    assert {each["port"] for each in names["ports"]} == {53, 5353}
    opened = made(replace(TENANT, egress=("10.1.0.0/16:5000", "0.0.0.0/0"), registry=True))
    _, _, registry, network, anywhere = opened["NetworkPolicy", "team-a", "plimsoll-tenant"]["spec"]["egress"]
    assert registry["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "images"}
    assert network == {
        "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        "ports": [{"protocol": "TCP", "port": 5000}],
    }
    assert anywhere["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"], "the metadata of the machine"


def test_what_would_move_the_walls_is_no_right_of_a_tenant() -> None:
    given: dict[str, set[str]] = {}
    for each in IN_NAMESPACE:
        for resource in each.resources:
            given.setdefault(resource, set()).update(each.verbs)
    changes = {"create", "update", "patch", "delete"}
    for kept in ("namespaces", "resourcequotas", "limitranges", "localqueues"):
        assert not given[kept] & changes, kept
    for absent in ("roles", "rolebindings", "pods/exec", "pods/attach", "serviceaccounts/token", "nodes", "endpoints"):
        assert absent not in given
    assert not [each for each in IN_NAMESPACE if "*" in (each.group, *each.resources, *each.verbs)]


def test_people_are_users_groups_and_the_account_of_the_kubeconfig() -> None:
    binding = made(replace(TENANT, users=("ada", "system:serviceaccount:ci:runner")))[
        "RoleBinding", "team-a", "plimsoll-tenant"
    ]
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [
        ("ServiceAccount", "plimsoll-tenant"),
        ("User", "ada"),
        ("ServiceAccount", "runner"),
        ("Group", "team-a"),
    ]


def test_nodes_are_read_only_by_tenants_with_accelerators_that_a_plugin_counts() -> None:
    def resources(tenant: Tenant, facts: TenantFacts = FACTS) -> set[str]:
        rules = made(tenant, facts)["ClusterRole", "", "plimsoll-tenant-team-a"]["rules"]
        return {each for rule in rules for each in rule["resources"]}

    assert resources(TENANT) == {"gatewayclasses", "deviceclasses", "nodes"}
    assert "nodes" not in resources(replace(TENANT, accelerators=0))
    assert "nodes" not in resources(TENANT, replace(FACTS, accelerators=()))


def test_a_queue_has_as_much_as_the_quota_and_takes_from_its_own_namespace_alone() -> None:
    queue = made(replace(TENANT, queue=True))["ClusterQueue", "", "plimsoll-tenant-team-a"]["spec"]
    (group,) = queue["resourceGroups"]
    (flavor,) = group["flavors"]
    assert {each["name"]: each["nominalQuota"] for each in flavor["resources"]} == {
        "cpu": "8",
        "memory": "32Gi",
        "nvidia.com/gpu": "2",
    }
    assert queue["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "team-a"}}


def test_the_rules_of_admission_name_the_images_that_are_allowed_and_the_way_out() -> None:
    tenant = replace(TENANT, images=("registry.example/team-a/", "docker.io/library"), egress=("10.0.0.0/8:5000",))
    rules = made(tenant)["ValidatingAdmissionPolicy", "", "plimsoll-tenant-team-a"]["spec"]
    expressions = "\n".join(each["expression"] for each in rules["validations"])
    assert "'registry.example/team-a/'" in expressions
    assert "'docker.io/library/'" in expressions, "a path ends there: docker.io/library-of-others is none"
    assert "[53, 5000, 5353]" in expressions
    assert "object.spec != oldObject.spec" in expressions, "a Job's controller takes its finalizer off any pod"
    assert rules["failurePolicy"] == "Fail"
    (condition,) = rules["matchConditions"]
    assert "check('delete')" in condition["expression"], "who keeps the cluster tears walls down"
    assert not [each for each in made(TENANT, replace(FACTS, policies=False)) if "Admission" in each[0]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "Team"}, "cannot be named 'Team'"),
        ({"name": "a" * 41}, "41 characters, 40 are allowed"),
        ({"name": "kube-team"}, "belongs to the cluster itself"),
        ({"name": "default"}, "belongs to the cluster itself"),
        ({"name": "a\nb"}, "cannot be named"),
        ({"cpu": "many"}, "'many' is no quantity"),
        ({"cpu": "-1"}, "is no quantity"),
        ({"memory": "0"}, "is no quantity"),
        ({"memory": "1e999999999"}, "is no quantity"),
        ({"accelerators": -1}, "no less than no accelerator"),
        ({"pods": 0}, "at least one pod"),
        ({"queue": True, "cpu": ""}, "a queue admits by how much there is"),
        ({"users": ("",)}, "is no name of a user"),
        ({"groups": ("system:authenticated",)}, "is everybody, or Kubernetes itself"),
        ({"groups": ("system:masters",)}, "is everybody, or Kubernetes itself"),
        ({"images": ("registry.example/a:1",)}, "is no prefix of images"),
        ({"images": ("x' || true || 'x",)}, "is no prefix of images"),
        ({"egress": ("example.com",)}, "is no network"),
        ({"egress": ("10.0.0.1/8",)}, "is no network"),
        ({"egress": ("10.0.0.0/8:99999",)}, "no port of 1 to 65535"),
        ({"egress": ("169.254.169.254/32",)}, "credentials of its node"),
    ],
)
def test_what_no_tenant_can_be_is_refused_with_the_option(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(FileError) as refused:
        require_valid(replace(TENANT, **wrong))
    assert words in str(refused.value)
    assert refused.value.where


def test_no_policy_of_a_tenant_opens_the_port_of_metadata_to_every_address() -> None:
    tenant = replace(TENANT, egress=("10.0.0.0/8:80", "10.0.0.0/8:443"))
    rules = made(tenant)["ValidatingAdmissionPolicy", "", "plimsoll-tenant-team-a"]["spec"]["validations"]
    assert any("[53, 443, 5353]" in each["expression"] for each in rules)


def test_networks_are_read_with_and_without_a_port_of_both_families() -> None:
    assert (reached("10.1.2.3").cidr, reached("10.1.2.3").port) == ("10.1.2.3/32", None)
    assert (reached("10.1.0.0/16:443").cidr, reached("10.1.0.0/16:443").port) == ("10.1.0.0/16", 443)
    assert (reached("fd00::/8").cidr, reached("[fd00::/8]:443").port) == ("fd00::/8", 443)
    assert reached("::/0").without == ("fd00:ec2::254/128",)


def test_a_spoilt_record_of_a_tenant_is_none() -> None:
    for text in ("", "{", "[]", '{"name": 1}', '{"name": "kube-x"}'):
        assert decoded(text) is None


def test_accelerators_are_known_by_the_names_that_vendors_give() -> None:
    for name in ("nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "google.com/tpu", "plimsoll.dev/accelerator-shared"):
        assert is_accelerator(name)
    for name in ("cpu", "hugepages-2Mi", "example.com/licence"):
        assert not is_accelerator(name)
