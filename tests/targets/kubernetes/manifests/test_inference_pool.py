"""Replicas of a language model behind a gateway: a pool and its picker where the cluster has them, else a Service."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from plimsoll.errors import FileError
from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.cluster import ENVOY, GATEWAY, INFERENCE, Cluster
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.providers import choose, needs
from tests.targets.kubernetes.manifests.test_llms import FILES, llm, served

KINDS = frozenset(
    {
        f"{GATEWAY}/HTTPRoute",
        f"{GATEWAY}/Gateway",
        f"{ENVOY}/BackendTrafficPolicy",
        f"{INFERENCE}/InferencePool",
    }
)
CLUSTER = Cluster(target="lab", namespace="here", gateways=("lab",), served=KINDS)
CHOSEN = {
    "serving": "deployment",
    "traffic": "gateway",
    "metrics": "annotations",
    "scale": "hpa",
    "routing": "inferencepool",
}


def several(replicas: int = 3, **more: Any) -> ServedVersions:
    found = served(llm("llama.cpp", replicas=replicas, **more), *FILES["gguf"])
    return replace(found, scale=Scale(min=replicas, max=replicas))


def made(what: ServedVersions, **chosen: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects(what, CLUSTER, {**CHOSEN, **chosen})}


def backends(found: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[str, str]]:
    (route,) = [each for (kind, _), each in found.items() if kind == "HTTPRoute"]
    return [(to["kind"], to["name"]) for rule in route["spec"]["rules"] for to in rule["backendRefs"]]


def test_the_route_leads_to_a_pool_of_the_servers_and_the_pool_to_its_picker() -> None:
    found = made(several())
    name = names.service("app", "chat")
    pool = found["InferencePool", name]
    assert backends(found) == [("InferencePool", name)]
    servers = found["Deployment", name]["spec"]
    assert servers["replicas"] == 3
    assert pool["spec"]["selector"]["matchLabels"].items() <= servers["template"]["metadata"]["labels"].items()
    assert pool["spec"]["targetPorts"] == [{"number": 8080}]
    picker = pool["spec"]["endpointPickerRef"]
    service = found["Service", picker["name"]]["spec"]
    assert service["ports"][0]["port"] == picker["port"]["number"]
    template = found["Deployment", picker["name"]]["spec"]["template"]
    assert service["selector"] == template["metadata"]["labels"]
    order = [kind for kind, _ in found]
    assert order[-1] == "HTTPRoute"


def test_the_picker_is_none_of_the_servers_and_is_reached_at_its_ports_alone() -> None:
    found = made(several())
    name = f"{names.service('app', 'chat')}-picker"
    labels = found["Deployment", name]["spec"]["template"]["metadata"]["labels"]
    for (kind, other), each in found.items():
        selector = each.get("spec", {}).get("selector", {})
        chosen = selector.get("matchLabels", selector) if kind in {"Service", "InferencePool"} else {}
        assert other == name or not chosen or not chosen.items() <= labels.items()
        if kind == "NetworkPolicy" and other != name:
            assert not each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    policy = found["NetworkPolicy", name]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert [port["port"] for port in policy["ingress"][0]["ports"]] == [9002, 9003]


def test_the_picker_may_read_pods_and_pools_and_change_nothing() -> None:
    found = made(several())
    name = f"{names.service('app', 'chat')}-picker"
    rules = found["Role", name]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert found["RoleBinding", name]["subjects"] == [{"kind": "ServiceAccount", "name": name}]
    container = found["Deployment", name]["spec"]["template"]["spec"]["containers"][0]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_picker_scores_what_was_read_and_what_waits_by_our_own_metric() -> None:
    found = made(several())
    name = f"{names.service('app', 'chat')}-picker"
    settings = yaml.safe_load(found["ConfigMap", name]["data"]["picker.yaml"])
    known = {each["type"] for each in settings["plugins"]}
    (profile,) = settings["schedulingProfiles"]
    weights = {each["pluginRef"]: each.get("weight") for each in profile["plugins"]}
    assert weights.keys() == known
    assert weights["prefix-cache-scorer"] > weights["queue-scorer"] > 0
    arguments = found["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--total-queued-requests-metric=plimsoll_llm_waiting" in arguments
    assert f"--pool-name={names.service('app', 'chat')}" in arguments


def test_who_is_well_is_the_pickers_matter_and_not_the_gateways() -> None:
    policy = next(each for (kind, _), each in made(several()).items() if kind == "BackendTrafficPolicy")
    assert "healthCheck" not in policy["spec"]
    assert "retry" in policy["spec"]


@pytest.mark.parametrize(
    ("what", "chosen"),
    [
        (several(1), {}),
        (several(routing="load"), {}),
        (several(), {"routing": "service"}),
        (several(), {"traffic": "service"}),
        (replace(several(), scale=Scale(min=1, max=4)), {}),
    ],
)
def test_otherwise_a_service_leads_to_them(what: ServedVersions, chosen: dict[str, str]) -> None:
    found = made(what, **chosen)
    assert not {kind for kind, _ in found} & {"InferencePool", "Role", "RoleBinding"}
    if chosen.get("traffic") != "service":
        assert {kind for kind, _ in backends(found)} == {"Service"}


def test_it_is_chosen_where_the_cluster_has_the_extension_and_a_gateway() -> None:
    assert choose(CLUSTER, "routing").provider == "inferencepool"
    assert choose(CLUSTER, "routing", ["service"]).provider == "service"
    assert choose(replace(CLUSTER, gateways=()), "routing").provider == "service"
    without = replace(CLUSTER, served=KINDS - {f"{INFERENCE}/InferencePool"})
    assert "routing" in needs(CLUSTER)
    assert "routing" not in needs(without)
    with pytest.raises(FileError, match="inferencepool cannot carry routing"):
        choose(without, "routing", ["inferencepool"])
    barred = replace(CLUSTER, barred={f"{INFERENCE}/InferencePool": "create"})
    passed = choose(barred, "routing")
    assert passed.provider == "service"
    assert "you may not create inferencepools" in passed.why
