"""Language models on a cluster: what pods are made of, by engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from plimsoll.application.language_models import Endpoint, EndpointKey, LlmLimits
from plimsoll.errors import TargetError
from plimsoll.kinds.llm import LlmModel, PreparedLlm
from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.planning.steps import WorkerResources
from plimsoll.registry.versions import FileEntry, Lineage, ModelVersion
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.targets.kubernetes.llms import container_of, in_pods, places
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import objects

TWO_CORES = WorkerResources(cpu=2.0)
CHOSEN = {"serving": "deployment", "traffic": "service", "metrics": "operator", "scale": "hpa"}
NODE = Node(name="n", cpu=8.0, memory=2**34, extended={"nvidia.com/gpu": 4})
PLUGIN = Cluster(target="lab", namespace="here", nodes=(NODE,))
CLASSES = Cluster(target="lab", namespace="here", classes=("gpu.example.com",))
FILES = {
    "gguf": ("model.gguf",),
    "safetensors": ("config.json", "model.safetensors", "tokenizer.json"),
}


def version(reference: str, *files: str) -> ModelVersion:
    name, _, number = reference.partition("@")
    return ModelVersion(
        name=name,
        version=int(number or 1),
        digest=f"sha256:{name}",
        created=datetime.now(UTC),
        author="",
        framework="none",
        metrics={},
        accept={},
        accepted=True,
        refusals=(),
        lineage=Lineage(run="r", step="s", key="k", data={}, code={}, environment="", command="", framework="none"),
        files={each: FileEntry(digest=f"sha256:{each}", size=1) for each in files},
    )


def llm(engine: str, **more: Any) -> PreparedLlm:
    given: dict[str, Any] = {"model": LlmModel(name="writer", reference="smol@3"), "context": 2048, "slots": 8}
    return PreparedLlm(name="writer", engine=engine, limits=LlmLimits(tokens=512), **{**given, **more})


def served(asked: PreparedLlm, *files: str, resources: WorkerResources = TWO_CORES) -> ServedVersions:
    file = in_pods(asked, lambda model: version(model.reference, *files))
    return ServedVersions(
        application="app",
        service="chat",
        file=ServiceFile(models=(file,)),
        models={place: f"r/{each.reference}" for place, each in places(asked).items()},
        key="k",
        resources=resources,
        image="r/runtime@sha256:0",
        scale=Scale(),
        engine=container_of(asked, file, resources),
    )


def pod(what: ServedVersions, where: Cluster = PLUGIN) -> dict[str, Any]:
    (deployment,) = [each for each in objects(what, where, CHOSEN) if each["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["spec"])


def test_llama_cpp_runs_under_our_server_with_a_model_that_was_verified() -> None:
    made = served(llm("llama.cpp", adapters=(LlmModel(name="style", reference="style@2"),)), *FILES["gguf"])
    spec = pod(made)
    (server,) = spec["containers"]
    assert server["startupProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert server["resources"]["limits"]["cpu"] == "2"
    pulls = [each["command"] for each in spec["initContainers"]]
    assert [pull[3] for pull in pulls] == ["r/smol@3", "r/style@2"]
    (file,) = made.file.models
    assert file.llm is not None
    assert file.path == f"{pulls[0][-1]}/model.gguf"
    assert file.llm.adapters == {"style": f"{pulls[1][-1]}/model.gguf"}
    assert set(file.files) == {file.path, file.llm.adapters["style"]}
    assert (file.reference, file.version, file.llm.context, file.llm.slots) == ("smol@3", "3", 2048, 8)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("vllm", ["vllm serve", "--served-model-name writer", "--max-model-len 2048", "--max-num-seqs 8",
                  "--tensor-parallel-size 2", "--port 8000"]),
        ("tgi", ["text-generation-launcher --model-id", "--max-total-tokens 2048", "--max-input-tokens 1536",
                 "--max-concurrent-requests 8", "--num-shard 2", "--port 8000"]),
    ],
)  # fmt: skip
def test_an_engine_in_a_container_has_the_accelerators_and_reads_the_verified_files(
    engine: str, words: list[str]
) -> None:
    made = served(llm(engine), *FILES["safetensors"], resources=WorkerResources(cpu=4.0, accelerators=2))
    spec = pod(made)
    server, beside = spec["containers"]
    command = " ".join(beside["command"])
    assert [word for word in words if word not in command] == []
    place = spec["initContainers"][0]["command"][-1]
    assert place in beside["command"]
    assert beside["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in str(server["resources"])
    assert beside["securityContext"]["allowPrivilegeEscalation"] is False
    assert {probe["httpGet"]["path"] for name, probe in beside.items() if name.endswith("Probe")} == {"/health"}
    assert {each["name"]: each["value"] for each in beside["env"]}["HF_HUB_OFFLINE"] == "1"
    assert {"name": "work", "mountPath": "/plimsoll/work", "readOnly": True} in beside["volumeMounts"]
    (file,) = made.file.models
    assert file.llm is not None
    assert file.llm.endpoint is not None
    assert file.llm.endpoint.url == "http://127.0.0.1:8000/v1"


def test_accelerators_are_claimed_for_the_engine_where_the_cluster_has_a_device_class() -> None:
    made = served(llm("vllm"), *FILES["safetensors"], resources=WorkerResources(accelerators=1))
    spec = pod(made, CLASSES)
    server, beside = spec["containers"]
    assert beside["resources"]["claims"] == [{"name": "accelerators"}]
    assert "claims" not in server["resources"]
    assert [each["name"] for each in spec["resourceClaims"]] == ["accelerators"]


def test_adapters_of_vllm_are_named_in_its_command() -> None:
    asked = llm("vllm", adapters=(LlmModel(name="style", reference="style@2"),))
    _, beside = pod(served(asked, "adapter_config.json", *FILES["safetensors"]))["containers"]
    assert beside["command"][-2:] == ["--lora-modules", f"style={list(places(asked))[1]}"]


@pytest.mark.parametrize(("engine", "files", "words"), [
    ("vllm", ("model.gguf",), "vllm reads safetensors with a config.json beside them, and model smol@3 has model.gguf"),
    ("llama.cpp", ("model.safetensors",), "model smol@3 has no gguf file among model.safetensors"),
    ("llama.cpp", ("a.gguf", "b.gguf"), "has 2 gguf files"),
])  # fmt: skip
def test_a_model_that_the_engine_cannot_read_is_refused_in_one_sentence(
    engine: str, files: tuple[str, ...], words: str
) -> None:
    with pytest.raises(TargetError, match=words):
        served(llm(engine), *files)


def test_the_key_of_an_endpoint_comes_from_a_secret_and_stands_in_no_object() -> None:
    endpoint = Endpoint(url="https://a.test/v1", model="big", key=EndpointKey(env="LLM_KEY"))
    made = served(llm("endpoint", model=None, endpoint=endpoint))
    (server,) = pod(made)["containers"]
    assert server["env"] == [
        {"name": "LLM_KEY", "valueFrom": {"secretKeyRef": {"name": "plimsoll-llms", "key": "LLM_KEY"}}}
    ]
    assert made.models == {}
    assert isinstance(made.file.models[0], ModelFile)


def test_kserve_keeps_both_containers() -> None:
    made = served(llm("vllm"), *FILES["safetensors"])
    where = Cluster(target="lab", namespace="here")
    found = objects(made, where, {**CHOSEN, "serving": "kserve"})
    (kept,) = [each for each in found if each["kind"] == "InferenceService"]
    assert [each["name"] for each in kept["spec"]["predictor"]["containers"]] == ["kserve-container", "engine"]


def test_its_alerts_are_those_of_language_models() -> None:
    where = Cluster(target="lab", namespace="here")
    found = objects(served(llm("llama.cpp"), *FILES["gguf"]), where, CHOSEN)
    (rules,) = [each for each in found if each["kind"] == "PrometheusRule"]
    assert "PlimsollFirstToken" in str(rules)
    assert "PlimsollDrift" not in str(rules)
