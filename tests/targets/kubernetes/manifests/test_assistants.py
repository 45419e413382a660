"""Assistants on a cluster: what their pods are made of, whom they reach, and how long answers may take."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from plimsoll.application.language_models import Endpoint
from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.llm import PreparedLlm
from plimsoll.kinds.service_settings import Scale, Telemetry
from plimsoll.kubernetes.cluster import GATEWAY, KEDA, Cluster, RegistryPlace
from plimsoll.kubernetes.memory.schemas import fitted, schema_causes
from plimsoll.registry.versions import Indexed, ModelVersion
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.assistants import in_pods
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import objects
from tests.targets.kubernetes.manifests.test_llms import CHOSEN, FILES, TWO_CORES, llm, version

INSIDE = RegistryPlace(nodes="registry.lab", pods="registry.images.svc:5000")
WHERE = Cluster(
    target="lab",
    namespace="here",
    gateways=("envoy",),
    served=frozenset({f"{KEDA}/ScaledObject", f"{GATEWAY}/HTTPRoute"}),
    registry=INSIDE,
)
GATEWAYS = {**CHOSEN, "traffic": "gateway", "scale": "keda"}
PLAN = AssistantPlan(
    name="help", index="indexes.faq", index_key=None, prompt=None, refuse=0.3, top=4, tokens=200, seconds=40.0
)
ASKED = "http://app-chat.here.svc/v1"


def versions(reference: str) -> ModelVersion:
    if not reference.startswith("indexes."):
        return version(reference, *FILES["gguf"])
    found = version(reference, "index.json", "texts.txt")
    lineage = replace(found.lineage, index=Indexed(search="lexical", tokens=64, overlap=16))
    return replace(found, lineage=lineage)


def served(asked: PreparedLlm, url: str = "", **more: Any) -> ServedVersions:
    made = in_pods(PLAN, asked, "Be brief.", versions, TWO_CORES, url)
    given = ServedVersions(
        application="app",
        service="ask",
        file=made.file,
        models={place: f"r/{each.reference}" for place, each in made.versions.items()},
        key="k",
        resources=TWO_CORES,
        image="r/runtime@sha256:0",
        engine=made.engine,
        asks="chat" if url else "",
    )
    return replace(given, **more)


def found(what: ServedVersions, kind: str, where: Cluster = WHERE) -> dict[str, Any]:
    first, *_ = [each for each in objects(what, where, GATEWAYS) if each["kind"] == kind]
    return dict(first)


def pod(what: ServedVersions) -> dict[str, Any]:
    return dict(found(what, "Deployment")["spec"]["template"]["spec"])


def egress(what: ServedVersions, where: Cluster = WHERE) -> list[dict[str, Any]]:
    spec = found(what, "NetworkPolicy", where)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return list(spec["egress"])


def test_an_assistant_brings_its_index_and_asks_the_service_of_its_language_model() -> None:
    made = served(llm("llama.cpp"), ASKED)
    (puller,) = pod(made)["initContainers"]
    assert (puller["command"][3], puller["command"][-1]) == ("r/indexes.faq@1", "/plimsoll/work/models/index")
    (server,) = pod(made)["containers"]
    assert server["resources"]["limits"]["cpu"] == "2"
    assistant, index, model = made.file.models
    assert assistant.assistant is not None
    assert (assistant.assistant.index, assistant.assistant.llm) == ("indexes.faq", "writer")
    assert assistant.assistant.rules == "Be brief."
    assert index.path == "/plimsoll/work/models/index/index.json"
    assert (model.path, model.files, model.version, model.reference) == ("", {}, "3", "smol@3")
    assert model.llm is not None
    assert model.llm.endpoint is not None
    assert (model.llm.engine, model.llm.endpoint.url, model.llm.endpoint.model) == ("endpoint", ASKED, "writer")
    assert model.llm.context == 2048


def test_without_such_a_service_the_language_model_is_in_the_same_pod() -> None:
    made = served(llm("llama.cpp"))
    assert [each["command"][3] for each in pod(made)["initContainers"]] == ["r/indexes.faq@1", "r/smol@3"]
    *_, model = made.file.models
    assert model.llm is not None
    assert (model.llm.engine, model.llm.endpoint) == ("llama.cpp", None)
    assert model.path.endswith("/llm-0/model.gguf")


def test_an_engine_in_a_container_stands_beside_an_assistant_too() -> None:
    def of_vllm(reference: str) -> ModelVersion:
        return versions(reference) if reference.startswith("indexes.") else version(reference, *FILES["safetensors"])

    made = in_pods(PLAN, llm("vllm"), "", of_vllm, TWO_CORES)
    assert made.engine is not None
    assert "vllm" in made.engine.command
    assert in_pods(PLAN, llm("vllm"), "", of_vllm, TWO_CORES, ASKED).engine is None


def test_an_assistant_reaches_its_language_model_and_the_registry_and_nobody_else() -> None:
    names_asked, registry, asked = egress(served(llm("llama.cpp"), ASKED))
    assert {each["port"] for each in names_asked["ports"]} == {53, 5353}
    assert registry["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "images"}}}]
    (to,) = asked["to"]
    assert to["podSelector"]["matchLabels"] == {**names.of_application("app"), names.SERVICE: "chat"}
    assert asked["ports"] == [{"protocol": "TCP", "port": 8080}]
    assert len(egress(served(llm("llama.cpp")))) == 2


@pytest.mark.parametrize(
    ("pods", "port"), [("registry.example.com/team", 443), ("10.0.0.7:5000", 5000), ("a.b.example:80/x", 80)]
)
def test_a_registry_elsewhere_is_reached_at_its_port(pods: str, port: int) -> None:
    where = replace(WHERE, registry=RegistryPlace(nodes=pods, pods=pods, us=pods))
    *_, registry = egress(served(llm("llama.cpp")), where)
    assert registry == {"ports": [{"protocol": "TCP", "port": port}]}


def test_the_port_of_an_endpoint_is_open_and_traces_may_leave() -> None:
    other = PreparedLlm(
        name="other", engine="endpoint", endpoint=Endpoint(url="https://llm.example:8443/v1", model="m")
    )
    *_, endpoint, traces = egress(served(other, telemetry=Telemetry(traces=True)))
    assert [each["port"] for each in endpoint["ports"]] == [8443]
    assert [each["port"] for each in traces["ports"]] == [443, 4317, 4318]


def test_an_activator_reaches_the_servers_that_it_holds_requests_for() -> None:
    held = egress(served(llm("llama.cpp"), ASKED, scale=Scale(min=0, max=1)))
    own = {**names.of_application("app"), names.SERVICE: "ask"}
    assert {"podSelector": {"matchLabels": own}} in [to for rule in held for to in rule.get("to", [])]


def test_other_services_reach_whom_they_want() -> None:
    made = served(llm("llama.cpp"))
    alone = replace(made, file=replace(made.file, models=made.file.models[2:], traffic={}))
    assert found(alone, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


def test_nothing_ends_an_answer_before_the_limit_of_its_language_model() -> None:
    """Envoy ends requests after 15 seconds where nothing is said, and Kubernetes pods after 30."""
    made = served(llm("llama.cpp"), ASKED)
    assert made.longest_answer == 120
    (rule,) = found(made, "HTTPRoute")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "130s"}
    command = pod(made)["containers"][0]["command"]
    drain = int(command[command.index("--drain") + 1])
    assert drain >= 120
    assert pod(made)["terminationGracePeriodSeconds"] > drain


def test_an_activator_lets_an_answer_take_its_time() -> None:
    made = served(llm("llama.cpp"), ASKED, scale=Scale(min=0, max=1))
    (activator,) = [
        each for each in objects(made, WHERE, GATEWAYS) if each["metadata"]["name"].endswith("-activator")
        and each["kind"] == "Deployment"
    ]  # fmt: skip
    spec = activator["spec"]["template"]["spec"]
    command = spec["containers"][0]["command"]
    assert int(command[command.index("--seconds") + 1]) > 120
    assert spec["terminationGracePeriodSeconds"] > int(command[command.index("--drain") + 1]) >= 120
    (rule,) = found(made, "HTTPRoute")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "280s"}


_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CONTAINERS = {
    "type": "array",
    "items": {"type": "object", "required": ["name"], "x-kubernetes-preserve-unknown-fields": True},
}
PREDICTOR = {
    "labels": _WORDS,
    "annotations": _WORDS,
    "minReplicas": {"type": "integer"},
    "maxReplicas": {"type": "integer"},
    "deploymentStrategy": {"type": "object", "properties": {"type": {"type": "string"}, "rollingUpdate": _OBJECT}},
    "containers": _CONTAINERS,
    "initContainers": _CONTAINERS,
    "volumes": _CONTAINERS,
    "serviceAccountName": {"type": "string"},
    "automountServiceAccountToken": {"type": "boolean"},
    "enableServiceLinks": {"type": "boolean"},
    "terminationGracePeriodSeconds": {"type": "integer", "format": "int64"},
    "securityContext": _OBJECT,
    "topologySpreadConstraints": {"type": "array", "items": _OBJECT},
}
"""What of `spec.predictor` KServe's definition of InferenceService has, v1beta1, of the fields that are set here."""


def test_kserve_s_definition_takes_every_field_of_an_assistant() -> None:
    (made,) = [
        each
        for each in objects(served(llm("vllm"), ASKED), WHERE, {**GATEWAYS, "serving": "kserve"})
        if each["kind"] == "InferenceService"
    ]
    predictor = {"type": "object", "properties": PREDICTOR}
    schema = {"properties": {"spec": {"type": "object", "properties": {"predictor": predictor}}}}
    assert list(schema_causes(schema, made)) == []
    assert fitted(schema, made) == made
    (server,) = made["spec"]["predictor"]["containers"]
    assert server["name"] == "kserve-container"
    assert made["spec"]["predictor"]["initContainers"][0]["command"][3] == "r/indexes.faq@1"
