"""Language models in the file: what is refused with its place, and what decides whether one is prepared again."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.llm import LLMS, PrepareLlm
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  models:
    smol: {source: smol.gguf}
    style: {source: style.gguf}
  services: {chat: {llm: writer}}
  llms:
    writer: {LLM}
"""
FACTS = TargetFacts(target="local", cpu=2.0, memory=2**30)


def planned(directory: Path, llm: str, service: str = "llm: writer") -> Plan:
    for name in ("smol", "style"):
        (directory / f"{name}.gguf").write_bytes(b"GGUF")
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("LLM", llm).replace("llm: writer", service))
    file = KINDS.load(path)
    KINDS.check(file)
    return KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), FACTS)


@pytest.mark.parametrize(
    ("llm", "place", "message"),
    [
        ("context: 4096", "10:5", "neither `model` nor `endpoint`"),
        ("model: smol, endpoint: {url: 'https://a.test/v1', model: m}", "10:5", "both `model` and `endpoint`"),
        ("model: smoll", "10:21", "there is no model 'smoll'"),
        ("source: 'pypi:a==1#*.gguf'", "10:14", "unknown key 'source'"),
        ("model: smol, engine: llamacpp", "10:35", "there is no engine 'llamacpp'"),
        ("model: smol, engine: endpoint", "10:35", "there is no engine 'endpoint'"),
        ("model: smol, engine: tgi, adapter: style", "10:40", "the engine tgi takes no `adapter`"),
        ("model: smol, prefill: 2", "10:27", "the engine llama.cpp takes no `prefill`"),
        ("model: smol, context: 8", "10:36", "at least 64"),
        ("model: smol, slots: 0", "10:34", "at least 1"),
        (
            "model: smol, slots: 300",
            "10:34",
            "one process of the engine llama.cpp computes 256 answers at once at most",
        ),
        ("model: smol, engine: vllm, slots: 5000", "10:48", "at most 4096"),
        ("model: smol, replicas: 0", "10:37", "at least 1"),
        ("model: smol, replicas: 2, routing: random", "10:49", "prefix"),
        ("model: smol, routing: prefix", "10:27", "`routing` is about several replicas, and there is one"),
        (
            "endpoint: {url: 'https://a.test/v1', model: m}, replicas: 2",
            "10:62",
            "`replicas` is for a model that is served",
        ),
        ("model: smol, slots: many", "10:34", "expected a whole number"),
        ("model: smol, adapter: styl", "10:36", "there is no model 'styl'"),
        ("model: smol, adapters: [style, style@2]", "10:45", "could not tell the adapter 'style' from the one before"),
        ("model: smol, adapters: [writer]", "10:38", "there is no model 'writer'"),
        ("model: smol, adapter: style, adapters: [style]", "10:27", "stands beside `adapters`"),
        ("model: smol, limits: {time: soon}", "10:42", "expected a duration"),
        ("model: smol, limits: {tokens: 0}", "10:44", "at least 1"),
        ("endpoint: {url: 'https://a.test/v1'}", "10:14", "has no key 'model'"),
        ("endpoint: {url: 'ftp://a.test', model: m}", "10:30", "no address of http:// or https://"),
        ("endpoint: {url: 'https://me:pw@a.test', model: m}", "10:30", "credentials"),
        ("endpoint: {url: 'https://a.test/v1?key=1', model: m}", "10:30", "a query"),
        ("endpoint: {url: 'https://a.test', model: m, key: sk-123}", "10:63", "expected a mapping"),
        ("endpoint: {url: 'https://a.test', model: m, key: {env: 'A-B'}}", "10:69", "the name of the environment"),
        ("context: 128, endpoint: {url: 'https://a.test', model: m}", "10:14", "`context` is for a model"),
    ],
)
def test_a_mistake_in_a_language_model_is_named_with_its_place(
    tmp_path: Path, llm: str, place: str, message: str
) -> None:
    with pytest.raises(FileError) as raised:
        planned(tmp_path, llm)
    assert message in str(raised.value)
    assert f"plimsoll.yaml:{place}" in raised.value.where


def test_where_a_model_comes_from_is_said_in_models_and_the_hint_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileError) as raised:
        planned(tmp_path, "source: smol.gguf")
    assert raised.value.hint.startswith("did you mean 'model'?")


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("llm: writr", "there is no language model 'writr'"),
        ("llm: writer, model: smol", "`model` is not for a service of a language model"),
        ("llm: writer, latency: {p99: 1s}", "`latency` is not for a service of a language model"),
        ("llm: writer, scale: {max: 2}", "`scale` stands beside the 3 replicas of the language model 'writer'"),
    ],
)
def test_a_service_of_a_language_model_has_nothing_else_that_answers(
    tmp_path: Path, service: str, message: str
) -> None:
    with pytest.raises(FileError, match=message):
        planned(tmp_path, "model: smol, replicas: 3", service)


def test_replicas_are_processes_here_and_pods_on_a_cluster(tmp_path: Path) -> None:
    serve = planned(tmp_path, "model: smol, replicas: 3, routing: load").step("serve/chat").work
    assert isinstance(serve, Serve)
    assert serve.llm is not None
    assert (serve.llm.replicas, serve.llm.routing) == (3, "load")
    assert (serve.in_pods.min, serve.in_pods.max) == (3, 3)
    assert serve.scale is None


def test_an_endpoint_is_asked_as_many_at_once_as_the_file_says(tmp_path: Path) -> None:
    def slots(more: str) -> int:
        found = planned(tmp_path, f"endpoint: {{url: 'https://a.test/v1', model: m}}{more}").step("serve/chat").work
        assert isinstance(found, Serve)
        assert found.llm is not None
        return found.llm.slots

    assert (slots(""), slots(", slots: 2000")) == (32, 2000)


def test_a_language_model_is_prepared_after_its_models_and_served_after_that(tmp_path: Path) -> None:
    plan = planned(tmp_path, "model: smol, adapters: [style@3], context: 2048, limits: {tokens: 64, time: 2m}")
    step = plan.step("llm/writer")
    assert step.needs == ("register/smol",)
    assert isinstance(step.work, PrepareLlm)
    llm = step.work.llm
    assert (llm.engine, llm.context, llm.slots, llm.limits.tokens, llm.limits.seconds) == (
        "llama.cpp",
        2048,
        4,
        64,
        120,
    )
    assert [(each.name, each.reference) for each in llm.models] == [("writer", "smol"), ("style", "style@3")]
    serve = plan.step("serve/chat")
    assert isinstance(serve.work, Serve)
    assert serve.work.llm == llm
    assert serve.work.served_name == "writer"
    assert "llm/writer" in serve.needs


def test_another_model_or_setting_is_another_step_and_a_comment_is_not(tmp_path: Path) -> None:
    def key(llm: str) -> str:
        return planned(tmp_path, llm).step("serve/chat").key

    assert key("model: smol") == key("model: smol  ")
    assert len({key("model: smol"), key("model: style"), key("model: smol, context: 128"), key("model: smol@1")}) == 4


def test_an_endpoint_needs_no_model_and_no_engine_here(tmp_path: Path) -> None:
    plan = planned(tmp_path, "endpoint: {url: 'https://a.test/v1', model: m, key: {env: LLM_KEY}}")
    serve = plan.step("serve/chat")
    assert list(serve.work.needed_extras()) == ["serve"]
    assert [step.name for step in plan.steps if step.part == "writer"] == ["llm/writer"]


def test_what_this_machine_lacks_for_an_engine_is_said_before_anything_starts(tmp_path: Path) -> None:
    facts = TargetFacts(
        target="local",
        cpu=2.0,
        memory=2**30,
        missing_extras=frozenset({"llms"}),
        lacks={"llms by vllm": "no containers"},
    )
    (missing,) = shortfalls(planned(tmp_path, "model: smol"), facts)
    assert "serve/chat needs the extra 'llms'" in missing.message
    assert "[llms]" in missing.remedy
    (refused,) = shortfalls(planned(tmp_path, "model: smol, engine: vllm"), facts)
    assert refused.message == (
        "serve/chat serves a language model by vllm, which local does not support: no containers"
    )


def test_every_setting_of_the_file_is_one_that_some_engine_takes() -> None:
    from plimsoll.llms.engines import ENGINES

    taken = frozenset().union(*(engine.settings for engine in ENGINES.values()))
    assert taken == set(LLMS.part.__struct_fields__)
