"""Engines that read questions apart from those that write: two kinds of pods, one pool, and a picker of llm-d."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from plimsoll.kinds.service_settings import Scale
from plimsoll.planning.steps import WorkerResources
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.llms import PREFILLER, prefiller_of
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import objects
from tests.targets.kubernetes.manifests.test_inference_pool import CHOSEN, CLUSTER, backends
from tests.targets.kubernetes.manifests.test_llms import FILES, llm, served

NAME = names.service("app", "chat")
TWO = WorkerResources(cpu=2.0, accelerators=2)
KSERVE: dict[str, Any] = {"engines": "llminferenceservice"}


def apart(replicas: int = 3, prefill: int = 2) -> ServedVersions:
    asked = llm("vllm", replicas=replicas, prefill=prefill)
    found = served(asked, *FILES["safetensors"], resources=TWO)
    prefiller = prefiller_of(asked, found.file.models[0], TWO)
    return replace(found, scale=Scale(min=replicas, max=replicas), prefiller=prefiller, prefillers=prefill)


def made(what: ServedVersions | None = None, **chosen: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = objects(what or apart(), CLUSTER, {**CHOSEN, **chosen})
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def pods(found: dict[tuple[str, str], dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The templates of what writes, and of what reads."""
    return (
        found["Deployment", NAME]["spec"]["template"],
        found["Deployment", f"{NAME}-prefill"]["spec"]["template"],
    )


def test_a_pool_has_both_kinds_of_pods_and_a_service_only_those_with_a_server() -> None:
    found = made()
    writes, reads = (each["metadata"]["labels"] for each in pods(found))
    assert (writes["llm-d.ai/role"], reads["llm-d.ai/role"]) == ("decode", "prefill")
    pool = found["InferencePool", NAME]["spec"]
    selector = pool["selector"]["matchLabels"].items()
    assert selector <= writes.items()
    assert selector <= reads.items()
    assert not selector <= found["Deployment", f"{NAME}-picker"]["spec"]["template"]["metadata"]["labels"].items()
    service = found["Service", NAME]["spec"]["selector"].items()
    assert service <= writes.items()
    assert not service <= reads.items()
    assert backends(found) == [("InferencePool", NAME)]
    # An engine that only reads would answer without our limits.
    assert pool["endpointPickerRef"]["failureMode"] == "FailClose"
    assert (
        found["Deployment", NAME]["spec"]["replicas"],
        found["Deployment", f"{NAME}-prefill"]["spec"]["replicas"],
    ) == (
        3,
        2,
    )


def test_a_request_goes_from_the_server_by_the_sidecar_to_the_engine() -> None:
    writes, reads = (each["spec"] for each in pods(made()))
    _, engine = writes["containers"]
    sidecar, pull = writes["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert {"--port=8000", "--vllm-port=8001"} <= set(sidecar["command"])
    assert "plimsoll.runtime.pull" in pull["command"]
    (model,) = apart().file.models
    assert model.llm is not None
    assert model.llm.endpoint is not None
    assert (model.llm.endpoint.url, model.llm.endpoint.passes) == ("http://127.0.0.1:8000/v1", (PREFILLER,))
    (reader,) = reads["containers"]
    for container, port in ((engine, 8001), (reader, 8080)):
        words = container["command"]
        assert words[words.index("--port") + 1] == str(port)
        assert "NixlConnector" in words[words.index("--kv-transfer-config") + 1]
        assert {each["httpGet"]["port"] for name, each in container.items() if name.endswith("Probe")} == {port}
        own = next(each for each in container["env"] if each["name"] == "VLLM_NIXL_SIDE_CHANNEL_HOST")
        assert own["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
        assert container["resources"]["limits"]["nvidia.com/gpu" if CLUSTER.accelerator else "cpu"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert "plimsoll.runtime.pull" in reads["initContainers"][0]["command"]
    assert reads["automountServiceAccountToken"] is False
    assert "admin" not in str(reads)


def test_pods_of_a_pool_reach_each_other_and_the_registry_and_nobody_else() -> None:
    found = made()
    policy = found["NetworkPolicy", f"{NAME}-pool"]["spec"]
    pool = {"podSelector": {"matchLabels": {"plimsoll.dev/pool": NAME}}}
    assert policy["podSelector"] == pool["podSelector"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    peers, picker = policy["ingress"]
    assert peers == {"from": [pool]}
    assert picker["ports"] == [{"protocol": "TCP", "port": 8080}]
    labels = found["Deployment", f"{NAME}-picker"]["spec"]["template"]["metadata"]["labels"]
    assert picker["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert {"to": [pool]} in policy["egress"]
    assert all("to" in rule or {port["port"] for port in rule["ports"]} <= {53, 5353, 443} for rule in policy["egress"])


def test_llm_d_s_picker_has_a_profile_for_each_kind() -> None:
    found = made()
    settings = yaml.safe_load(found["ConfigMap", f"{NAME}-picker"]["data"]["picker.yaml"])
    known = {each["type"] for each in settings["plugins"]}
    for profile in settings["schedulingProfiles"]:
        used = {each["pluginRef"] for each in profile["plugins"]}
        assert used <= known
        assert f"{profile['name']}-filter" in used
    assert {each["name"] for each in settings["schedulingProfiles"]} == {"prefill", "decode"}
    container = found["Deployment", f"{NAME}-picker"]["spec"]["template"]["spec"]["containers"][0]
    assert "llm-d-inference-scheduler" in container["image"]
    assert not [word for word in container["args"] if "metric=" in word]


@pytest.mark.parametrize("chosen", [{}, KSERVE])
def test_no_pod_of_it_has_a_name_that_another_object_has(chosen: dict[str, str]) -> None:
    found = objects(apart(), CLUSTER, {**CHOSEN, **chosen})
    places = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in found]
    assert len(places) == len(set(places))


def test_kserve_keeps_both_kinds_in_one_object() -> None:
    found = made(**KSERVE)
    assert [name for kind, name in found if kind == "Deployment"] == [f"{NAME}-picker"]
    spec = found["LLMInferenceService", NAME]["spec"]
    assert (spec["replicas"], spec["prefill"]["replicas"]) == (3, 2)
    assert spec["labels"]["llm-d.ai/role"] == "decode"
    assert spec["prefill"]["labels"]["llm-d.ai/role"] == "prefill"
    (reader,) = spec["prefill"]["template"]["containers"]
    assert (reader["name"], reader["ports"][0]["containerPort"]) == ("main", 8080)
    main = spec["template"]["containers"][0]
    assert (main["name"], main["ports"][0]["containerPort"]) == ("main", 8001)
    # KServe knows its own sidecar by this name, and merges it with ours.
    assert spec["template"]["initContainers"][0]["name"] == "llm-d-routing-sidecar"
    assert backends(found) == [("InferencePool", NAME)]
