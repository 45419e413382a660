"""Language models on a cluster: brought up with their verified model, proven with a token, and used by a reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plimsoll.kinds.llm import LlmModel, PreparedLlm
from plimsoll.kinds.serve import Serve, ServeResult
from plimsoll.kubernetes.cluster import GATEWAY, INFERENCE
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.features import USES
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.targets.kubernetes.bench import APPLICATION, Bench, Manifest, done
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.life import furnish
from tests.targets.kubernetes.serving import Server, inference, register_step

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
pytestmark = pytest.mark.slow

CHAT = names.service(APPLICATION, "chat")


@pytest.fixture
def server(bench: Bench) -> Iterator[Server]:
    with inference(bench) as found:
        yield found


@pytest.fixture
def session(bench: Bench, server: Server) -> KubernetesSession:
    return bench.session()


def llm_step(
    bench: Bench, session: KubernetesSession, engine: str, *, replicas: int = 1, prefill: int = 0, **files: str
) -> AnyStep:
    """A service of a model with these files."""
    metrics = json.dumps({"accuracy": 0.9})
    bench.does("train/triage", lambda pod: pod.leave(**files, metrics_json=metrics))
    training = bench.training("triage")
    done(session, training)
    register = register_step(bench, training)
    done(session, register)
    model = LlmModel(name="writer", reference="triage", register_key=register.key)
    llm = PreparedLlm(name="writer", engine=engine, model=model, replicas=replicas, prefill=prefill)
    return bench.step("chat", Serve(service="chat", model="", llm=llm))


def pod_of(bench: Bench) -> Any:
    (pod,) = bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}=chat")
    return pod["spec"]


def told(bench: Bench) -> Manifest:
    found = [each for each in bench.cluster.list("v1", "ConfigMap", APPLICATION) if "service.json" in each["data"]]
    (model,) = json.loads(found[0]["data"]["service.json"])["models"]
    return dict(model)


def test_llama_cpp_is_up_and_proven_and_its_model_is_in_use(bench: Bench, session: KubernetesSession) -> None:
    step = llm_step(bench, session, "llama.cpp", model_gguf="GGUF")
    done(session, step)
    result = session.result(step)
    assert isinstance(result, ServeResult)
    assert (result.model, result.path) == ("writer@1", "/v1/chat/completions")
    assert result.url == f"http://{CHAT}.{APPLICATION}.svc"
    model = told(bench)
    assert model["path"] == f"{pod_of(bench)['initContainers'][0]['command'][-1]}/model.gguf"
    assert list(model["files"]) == [model["path"]]
    assert "triage@1" in [use.reference for use in bench.target().features.require(USES)()]


def test_an_engine_in_a_container_stands_beside_the_server(bench: Bench, session: KubernetesSession) -> None:
    step = llm_step(bench, session, "vllm", config_json="{}", model_safetensors="weights")
    done(session, step)
    assert [each["name"] for each in pod_of(bench)["containers"]] == ["server", "engine"]
    assert told(bench)["llm"]["endpoint"]["url"] == "http://127.0.0.1:8000/v1"
    # What stands is what its record says: a second run leaves it.
    assert session.result(step) is not None


@pytest.mark.parametrize("extension", [True, False])
def test_replicas_are_pods_behind_a_pool_or_else_behind_a_service(new_bench: NewBench, *, extension: bool) -> None:
    addons = ("gateway", "inference") if extension else ("gateway",)
    bench = new_bench(*addons)
    furnish(bench, *addons)
    with inference(bench):
        session = bench.session()
        step = llm_step(bench, session, "llama.cpp", replicas=2, model_gguf="GGUF")
        done(session, step)
    assert len(bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}=chat")) == 2
    (route,) = bench.cluster.list(GATEWAY, "HTTPRoute", APPLICATION)
    (backend,) = route["spec"]["rules"][0]["backendRefs"]
    assert (backend["kind"], backend["name"]) == ("InferencePool" if extension else "Service", CHAT)
    assert ("routing" in bench.target().facts().providers) == extension
    if extension:
        (pool,) = bench.cluster.list(INFERENCE, "InferencePool", APPLICATION)
        picker = pool["spec"]["endpointPickerRef"]["name"]
        assert [each["metadata"]["name"] for each in bench.cluster.list("v1", "Service", APPLICATION)] == [CHAT, picker]
        bench.target().remove(force=True)
        assert bench.cluster.list(INFERENCE, "InferencePool", APPLICATION) == []
