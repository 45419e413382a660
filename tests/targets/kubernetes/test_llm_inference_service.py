"""Engines of language models that KServe keeps: by its definition, its conditions, and what it makes of an object."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.llm import LlmModel, PreparedLlm, PrepareLlm
from plimsoll.kubernetes.api import ApiError
from plimsoll.kubernetes.cluster import INFERENCE, KSERVE_LLM
from plimsoll.planning.steps import Plan, Step, WorkerResources
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import Group, grouped
from plimsoll.targets.kubernetes.manifests.llm_inference_service import llm_inference_service
from plimsoll.targets.kubernetes.manifests.serving import deployment
from plimsoll.targets.kubernetes.plan_check import problems
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, done
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.kserve.controller import DEFINITION, KIND, LlmServices
from tests.targets.kubernetes.life import furnish
from tests.targets.kubernetes.manifests.test_llms import FILES, PLUGIN, llm, served
from tests.targets.kubernetes.serving import inference
from tests.targets.kubernetes.test_llms import CHAT, llm_step

pytestmark = pytest.mark.slow

PREFERRED: dict[str, Any] = {"prefer": ("llminferenceservice",)}
SAFETENSORS: dict[str, Any] = {"config_json": "{}", "model_safetensors": "weights"}


def defined(bench: Bench) -> Bench:
    """The bench, whose cluster has KServe's definition."""
    bench.target().api.create(DEFINITION)
    return bench


def opened(bench: Bench) -> KubernetesSession:
    return bench.session(bench.target(**PREFERRED))


def group() -> Group:
    """Servers of a language model with accelerators."""
    asked = served(llm("vllm"), *FILES["safetensors"], resources=WorkerResources(cpu=2.0, accelerators=2))
    (found,) = grouped("app-chat", asked, names.of_application("app"), apart=False)
    return found


def kept(bench: Bench) -> dict[str, Any]:
    (found,) = bench.cluster.list(KSERVE_LLM, KIND, APPLICATION)
    return dict(found)


def test_kserve_keeps_the_pods_of_an_engine_and_down_removes_them(bench: Bench) -> None:
    defined(bench).cluster.run(LlmServices())
    with inference(bench):
        session = opened(bench)
        step = llm_step(bench, session, "vllm", **SAFETENSORS)
        done(session, step)
        assert session.result(step) is not None
        spec = kept(bench)["spec"]
        # Nothing was cut off by the definition, and KServe fetches no model: our init container has verified it.
        assert spec["model"]["uri"].startswith("oci://")
        assert spec["storageInitializer"] == {"enabled": False}
        assert "router" not in spec
        (pod,) = bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}=chat")
        main, server = pod["spec"]["containers"]
        assert (main["name"], server["name"]) == ("main", "server")
        assert main["command"] == ["vllm", "serve"]
        assert main["args"][1:3] == ["--served-model-name", "writer"]
        assert main["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
        assert pod["spec"]["initContainers"][0]["command"][2] == "plimsoll.runtime.pull"
        target = bench.target(**PREFERRED)
        assert target.services() == {"chat": f"http://{CHAT}.{APPLICATION}.svc"}
        # A second run finds it as it stands.
        again = opened(bench)
        assert again.result(step) is not None
    bench.target().remove(force=True)
    assert bench.cluster.list(KSERVE_LLM, KIND, APPLICATION) == []
    assert bench.cluster.list("v1", "Pod", APPLICATION) == []


def test_its_definition_takes_every_field_and_refuses_one_that_is_wrong(bench: Bench) -> None:
    defined(bench)
    made = llm_inference_service(deployment(group(), PLUGIN, "told"), group().served)
    fitted = bench.target().api.apply({**made, "metadata": {**made["metadata"], "namespace": "default"}}, force=False)
    assert fitted["spec"] == made["spec"]
    wrong = {**made, "spec": {**made["spec"], "replicas": "two"}, "metadata": {"name": "w", "namespace": "default"}}
    with pytest.raises(ApiError, match=r"spec\.replicas"):
        bench.target().api.apply(wrong, force=False)


def test_what_kserve_says_of_an_object_that_it_cannot_render_ends_the_step(bench: Bench) -> None:
    defined(bench).cluster.run(LlmServices(refuses="spec.template.containers: Invalid value"))
    with inference(bench):
        session = opened(bench)
        step = llm_step(bench, session, "vllm", **SAFETENSORS)
        carried = Carried(session.start(step, 1))
    assert "KServe: PresetsCombined is False: InvalidRenderedConfig: spec.template.containers" in carried.end().reason


@pytest.mark.parametrize("kserve", [True, False])
def test_questions_are_read_apart_where_the_cluster_has_a_gateway_with_a_picker(
    new_bench: NewBench, *, kserve: bool
) -> None:
    addons = ("gateway", "inference")
    bench = new_bench(*addons)
    furnish(bench, *addons)
    options: dict[str, Any] = PREFERRED if kserve else {}
    if kserve:
        defined(bench).cluster.run(LlmServices())
    with inference(bench):
        session = bench.session(bench.target(**options))
        step = llm_step(bench, session, "vllm", prefill=2, **SAFETENSORS)
        done(session, step)
        assert session.result(step) is not None
        assert len(bench.cluster.list("v1", "Pod", APPLICATION, "llm-d.ai/role=prefill")) == 2
        assert len(bench.cluster.list("v1", "Pod", APPLICATION, f"{names.SERVICE}=chat")) == 1
        made = len(bench.cluster.list(KSERVE_LLM, KIND, APPLICATION)) if kserve else 0
        assert made == int(kserve)
        assert set(bench.target(**options).services()) == {"chat"}
    bench.target(**options).remove(force=True)
    assert bench.cluster.list("v1", "Pod", APPLICATION) == []
    assert bench.cluster.list(INFERENCE, "InferencePool", APPLICATION) == []


def test_a_model_that_llama_cpp_serves_stays_as_it_is(bench: Bench) -> None:
    defined(bench)
    with inference(bench):
        session = opened(bench)
        done(session, llm_step(bench, session, "llama.cpp", model_gguf="GGUF"))
    assert bench.cluster.list(KSERVE_LLM, KIND, APPLICATION) == []


def test_the_plan_says_who_keeps_engines_and_why(bench: Bench) -> None:
    assert "engines" not in bench.target().facts().providers
    with pytest.raises(FileError, match="llminferenceservice cannot carry engines"):
        bench.target(**PREFERRED).facts()
    defined(bench)
    assert bench.target().facts().providers["engines"].startswith("sidecar: vllm and tgi run beside our server")
    assert bench.target(**PREFERRED).facts().providers["engines"] == (
        "llminferenceservice: KServe's LLMInferenceService keeps the pods of vllm and tgi (as preferred)"
    )


def test_reading_apart_is_refused_where_nothing_picks_who_reads() -> None:
    asked = PreparedLlm(name="writer", engine="vllm", model=LlmModel(name="writer", reference="m"), prefill=2)
    plan = Plan(application="shop", target="lab", steps=(Step(part="writer", work=PrepareLlm(llm=asked), key="k"),))
    chosen = {"serving": "deployment", "traffic": "gateway", "metrics": "annotations", "scale": "hpa", "gang": "job"}
    (found,) = problems(plan, PLUGIN, chosen)
    assert (found.step, found.setting) == ("llm/writer", ("prefill",))
    assert "nothing on lab leads questions to engines that only read them" in found.message
    pooled = {**chosen, "routing": "inferencepool"}
    assert problems(plan, PLUGIN, pooled) == ()
    assert problems(plan, PLUGIN, {**pooled, "serving": "kserve"}) == (found,)
    assert problems(plan, PLUGIN, {**pooled, "serving": "kserve", "engines": "llminferenceservice"}) == ()
