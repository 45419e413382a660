"""Indexes in the file: what is refused with its place, and what decides whether one is built again."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.indexes.layout import StorePlace
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Step

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {pages: {source: pages}, orders: {source: orders.csv}}
  models: {minilm: {train: {run: python train.py}}}
  indexes:
    faq: {INDEX}
"""


def load(directory: Path, index: str) -> Step[BuildIndex]:
    (directory / "pages").mkdir(exist_ok=True)
    (directory / "pages" / "a.md").write_text("# A\n\nb")
    (directory / "orders.csv").write_text("id,text\n1,a\n")
    (directory / "train.py").write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("INDEX", index))
    file = KINDS.load(path)
    KINDS.check(file)
    facts = TargetFacts(target="local", cpu=2.0, memory=2**30)
    plan = KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts)
    step = plan.step("index/faq")
    assert isinstance(step.work, BuildIndex)
    return step  # type: ignore[return-value]  # the line above is what mypy cannot take for all of the step


@pytest.mark.parametrize(
    ("index", "place", "message"),
    [
        ("documents: page", "8:22", "there is no dataset 'page'"),
        ("documents: orders", "8:22", "does not say which column has the text"),
        ("documents: pages, id: nr", "8:29", "`id` is for the rows of a table"),
        ("documents: pages, embed: minlm", "8:36", "there is no model 'minlm'"),
        ("documents: pages, search: dense", "8:37", "needs vectors, and the index has no `embed`"),
        ("documents: pages, search: fuzzy", "8:37", "fuzzy"),
        ("documents: pages, chunk: {tokens: 20, overlap: 11}", "8:58", "more than half of a chunk"),
        ("documents: pages, chunk: {tokens: 8}", "8:45", "16"),
        ("documents: pages, store: {postgres: {url: {env: PG}}}", "8:29", "the index has no `embed`"),
        (
            "documents: pages, embed: minilm, search: lexical, store: {qdrant: {url: {env: Q}}}",
            "8:61",
            "by words alone",
        ),
        ("documents: pages, embed: minilm, store: {postgrs: {url: {env: PG}}}", "8:52", "did you mean 'postgres'?"),
        ("documents: pages, embed: minilm, store: lokal", "8:51", "must be local"),
        ("documents: pages, embed: minilm, store: 'postgresql://a:b@c/d'", "8:51", "must be local"),
        ("documents: pages, embed: minilm, store: {postgres: 'postgresql://a:b@c/d'}", "8:62", "expected a mapping"),
        ("documents: pages, embed: minilm, store: {}", "8:44", "names no store"),
        ("documents: pages, embed: minilm, store: {postgres: {}}", "8:52", "has no key 'url'"),
        (
            "documents: pages, embed: minilm, store: {postgres: {url: 'postgresql://a:b@c/d'}}",
            "8:68",
            "a text, which is not shown",
        ),
        (
            "documents: pages, embed: minilm, store: {postgres: {url: {env: 'postgresql://a:b@c/d'}}}",
            "8:74",
            "not shown",
        ),
        ("documents: pages, embed: minilm, store: {qdrant: {url: {env: Q}, key: sk-b@c}}", "8:81", "not shown"),
        ("documents: pages, embed: minilm, store: postgres", "8:51", "must be local"),
        (
            "documents: pages, embed: minilm, store: {weaviate: {url: {env: W}, grpc: 'https://a:b@c'}}",
            "8:84",
            "not shown",
        ),
        ("documents: pages, embed: minilm, store: {milvus: {url: {env: M}, key: 'root:b@c'}}", "8:81", "not shown"),
        (
            "documents: pages, embed: minilm, store: {postgres: {url: {env: PLIMSOLL_PG}}}",
            "8:74",
            "begins with PLIMSOLL_",
        ),
        ("documents: pages, embed: minilm, store: {postgres: {url: {env: P}, schema: 'a b'}}", "8:86", "schema"),
        (
            "documents: pages, embed: minilm, store: {postgres: {url: {env: P}}, qdrant: {url: {env: Q}}}",
            "8:44",
            "names both postgres and qdrant",
        ),
    ],
)
def test_a_mistake_in_an_index_is_named_with_its_place(tmp_path: Path, index: str, place: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        load(tmp_path, index)
    assert message in str(raised.value)
    assert "b@c" not in str(raised.value), "what is not shown"
    assert f"plimsoll.yaml:{place}" in raised.value.where


def test_an_index_waits_for_its_documents_and_its_model_and_is_hybrid_with_one(tmp_path: Path) -> None:
    step = load(tmp_path, "documents: pages, embed: minilm")
    assert step.needs == ("fetch/pages", "register/minilm")
    assert step.work.search == "hybrid"
    assert load(tmp_path, "documents: pages").work.search == "lexical"


def test_other_settings_build_another_index_and_other_resources_do_not(tmp_path: Path) -> None:
    keys = [
        load(tmp_path, index).key
        for index in (
            "documents: pages",
            "documents: pages, chunk: {tokens: 64}",
            "documents: pages, embed: minilm",
            "documents: pages, embed: minilm, search: dense",
            "documents: orders, text: text",
            "documents: orders, text: text, access: id",
        )
    ]
    assert len(set(keys)) == len(keys)
    assert load(tmp_path, "documents: pages, resources: {cpu: 2}").key == keys[0]
    assert load(tmp_path, "documents: pages, chunk: {tokens: 256, overlap: 64}").key == keys[0], "they are the defaults"


def test_an_index_in_a_store_needs_its_extra_and_is_another_one_than_that_in_files(tmp_path: Path) -> None:
    base = "documents: pages, embed: minilm"
    database = "{postgres: {url: {env: PG}, schema: search}}"
    steps = [load(tmp_path, f"{base}{store}") for store in ("", ", store: local", f", store: {database}")]
    assert steps[0].key == steps[1].key != steps[2].key
    assert [set(step.work.needed_extras()) for step in steps] == [
        {"retrieval"},
        {"retrieval"},
        {"retrieval", "pgvector"},
    ]
    assert steps[0].work.place() is None
    assert steps[2].work.place() == StorePlace(kind="postgres", name="", mark="", url="PG", schema="search")
    server = load(tmp_path, f"{base}, store: {{qdrant: {{url: {{env: Q}}, key: {{env: K}}}}}}")
    assert server.work.place() == StorePlace(kind="qdrant", name="", mark="", url="Q", key="K")
    assert "qdrant" in set(server.work.needed_extras())
    node = load(tmp_path, f"{base}, store: {{weaviate: {{url: {{env: W}}, grpc: {{env: G}}, key: {{env: K}}}}}}")
    assert node.work.place() == StorePlace(kind="weaviate", name="", mark="", url="W", grpc="G", key="K")
    assert "weaviate" in set(node.work.needed_extras())
    lite = load(tmp_path, f"{base}, store: {{milvus: {{url: {{env: M}}}}}}")
    assert lite.work.place() == StorePlace(kind="milvus", name="", mark="", url="M")
    assert "milvus" in set(lite.work.needed_extras())


SERVED = FILE + "  services:\n    search: {SERVICE}\n"


def served(directory: Path, service: str) -> Step[Serve]:
    for name in ("pages", "orders.csv"):
        (directory / name).mkdir(exist_ok=True)
    (directory / "pages" / "a.md").write_text("a")
    (directory / "train.py").write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(SERVED.replace("INDEX", "documents: pages").replace("SERVICE", service))
    file = KINDS.load(path)
    KINDS.check(file)
    facts = TargetFacts(target="local", cpu=2.0, memory=2**30)
    step = KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts).step("serve/search")
    assert isinstance(step.work, Serve)
    return step  # type: ignore[return-value]  # the line above is what mypy cannot take for all of the step


def test_a_service_of_an_index_waits_for_its_version_and_follows_new_ones(tmp_path: Path) -> None:
    step = served(tmp_path, "index: faq")
    assert step.needs == ("release/faq",)
    assert (step.work.model, step.work.follows) == ("indexes.faq", "indexes.faq")
    assert set(step.work.needed_extras()) == {"serve", "retrieval"}
    pinned = served(tmp_path, "index: faq@2")
    assert (pinned.needs, pinned.work.model, pinned.work.follows) == ((), "indexes.faq@2", "")


@pytest.mark.parametrize(
    ("service", "place", "message"),
    [
        ("index: fax", "10:21", "there is no index 'fax'"),
        ("index: faq, model: minilm", "10:26", "`model` is not for a service of an index"),
        ("index: faq, sample: {query: {shape: [1]}}", "10:26", "`sample` is not for a service of an index"),
        ("index: faq, drift: {reference: orders}", "10:26", "`drift` is not for a service of an index"),
        ("index: faq@1, rollout: promote", "10:37", "rollout is for a service of a model without a version"),
        ("host: 127.0.0.1", "10:", "add `model`, `run`, `pipeline`, `index`, `llm` or `assistant`"),
    ],
)
def test_a_mistake_in_a_service_of_an_index_is_named_with_its_place(
    tmp_path: Path, service: str, place: str, message: str
) -> None:
    with pytest.raises(FileError) as raised:
        served(tmp_path, service)
    assert message in str(raised.value)
    assert f"plimsoll.yaml:{place}" in raised.value.where
