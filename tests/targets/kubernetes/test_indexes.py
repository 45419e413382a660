"""Indexes on a cluster: built by a pod, signed here, and brought by digest to the pods of a service."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.kinds.index import IndexResult
from plimsoll.kinds.index_release import ReleaseResult
from plimsoll.kinds.serve import ServeResult
from plimsoll.kinds.table import KINDS
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import pull_files
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.features import USES
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod, done
from tests.targets.kubernetes.real_pods import carried_out
from tests.targets.kubernetes.serving import Inference, inference

pytest.importorskip("usearch", reason="needs the extra plimsoll[retrieval]")
pytestmark = pytest.mark.slow

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  datasets: {pages: {source: pages}}
  models: {words: {source: words/model.onnx, tokenizer: words/tokenizer.json}}
  indexes: {manuals: {documents: pages, embed: words}}
  services: {search: {index: manuals}}
"""
PAGES = {"pump.md": "# Pump\n\nThe bearing makes a noise.\n", "bill.md": "# Bill\n\nThe payment is overdue.\n"}


class Searching(Inference):
    """As much of an index as the proof of its service asks for."""

    def do_GET(self) -> None:  # noqa: N802  # of the standard library
        texts = {"datatype": "BYTES", "shape": [1]}
        self._answer({"inputs": [{"name": "query", **texts}], "outputs": [{"name": "hits", **texts}]})

    def do_POST(self) -> None:  # noqa: N802  # of the standard library
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"outputs": [{"name": "hits", "datatype": "BYTES", "shape": [1], "data": ["{}"]}]})


@pytest.fixture
def session(bench: Bench) -> Iterator[KubernetesSession]:
    with inference(bench, answers=Searching):
        yield bench.session()


def written(bench: Bench, text: str = FILE) -> Path:
    from tests.indexes.embedding_model import write_model

    (bench.directory / "pages").mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (bench.directory / "pages" / name).write_text(page)
    write_model(bench.directory / "words")
    path = bench.directory / "plimsoll.yaml"
    path.write_text(text)
    return path


def planned(bench: Bench, path: Path) -> Plan:
    """The plan of a file, as the command line makes it."""
    file = KINDS.load(path)
    target = bench.target()
    KINDS.check(file, target.name)
    return KINDS.plan(file, KINDS.workspace(file, target.state.digests), target.facts())


def carry(session: KubernetesSession, plan: Plan, *verbs: str) -> None:
    for step in plan.steps:
        if (not verbs or step.verb in verbs) and session.result(step) is None:
            done(session, step)


def built(session: KubernetesSession, step: AnyStep) -> IndexResult:
    result = session.result(step)
    assert isinstance(result, IndexResult)
    return result


def released(session: KubernetesSession, step: AnyStep) -> ReleaseResult:
    result = session.result(step)
    assert isinstance(result, ReleaseResult)
    return result


def really(bench: Bench, place: Path) -> list[Pod]:
    """Have the pods that build the index be processes of this machine; gives those that have begun."""
    begun: list[Pod] = []
    numbers = itertools.count()

    def build(pod: Pod) -> Ended | None:
        begun.append(pod)
        return carried_out(bench, pod, place / str(next(numbers)))

    bench.does("index/manuals", build)
    return begun


def test_a_pod_builds_an_index_which_is_signed_here_and_embeds_only_what_is_new_the_next_time(
    bench: Bench, session: KubernetesSession, tmp_path: Path
) -> None:
    begun = really(bench, tmp_path / "pods")
    path = written(bench)
    plan = planned(bench, path)
    carry(session, plan)
    first = built(session, plan.step("index/manuals"))
    assert (first.documents, first.chunks, first.embedded, first.model) == (2, 2, 2, "words@1")
    one = released(session, plan.step("release/manuals"))
    assert (one.version, one.name) == (1, "indexes.manuals")

    reference = parse_reference(one.reference or "")
    with Repository(reference) as repository:
        pulled = pull_files(repository, reference.target, KeyRing.default(), tmp_path / "pulled")
    assert pulled.version.lineage.index is not None
    assert pulled.version.lineage.index.embedder == "words@1"
    assert {"index.json", "embedder/model.onnx", "embedder/tokenizer.json"} <= set(pulled.version.files)
    assert "bearing" in (tmp_path / "pulled" / "texts.txt").read_text()

    (bench.directory / "pages" / "bill.md").write_text("# Bill\n\nThe invoice is paid.\n")
    plan = planned(bench, path)
    carry(session, plan)
    second = built(session, plan.step("index/manuals"))
    assert (second.documents, second.embedded) == (2, 1)
    assert released(session, plan.step("release/manuals")).version == 2

    earlier = [each["command"][3] for each in begun[1].running.pod["spec"]["initContainers"]]
    assert earlier[1] == one.reference
    served = session.result(plan.step("serve/search"))
    assert isinstance(served, ServeResult)
    assert served.model == "indexes.manuals@2"
    assert [use.reference for use in bench.target().features.require(USES)()] == ["indexes.manuals@2"]


def lexical(bench: Bench) -> Plan:
    return planned(bench, written(bench, FILE.replace(", embed: words", "")))


def test_what_cannot_be_read_is_named_and_an_index_of_nothing_fails_with_the_document(
    bench: Bench, session: KubernetesSession, tmp_path: Path
) -> None:
    really(bench, tmp_path / "pods")
    plan = lexical(bench)
    for name in PAGES:
        (bench.directory / "pages" / name).write_bytes(b"\xff\xfe\x00broken")
    plan = planned(bench, bench.directory / "plimsoll.yaml")
    carry(session, plan, "fetch")
    end = Carried(session.start(plan.step("index/manuals"), 1)).end()
    assert end.outcome == "failed"
    assert "none of the 2 documents could be read" in end.reason
    assert "bill.md" in end.reason


def test_the_pod_is_restricted_and_reaches_nothing_but_the_registry(bench: Bench, session: KubernetesSession) -> None:
    policies: list[dict[str, Any]] = []

    def build(_: Pod) -> Ended:
        policies.extend(bench.cluster.list("networking.k8s.io/v1", "NetworkPolicy", APPLICATION))
        return Ended(code=1, message="no")

    bench.does("index/manuals", build)
    plan = lexical(bench)
    carry(session, plan, "fetch")
    step = plan.step("index/manuals")
    Carried(session.start(step, 1)).end()
    (pod,) = bench.begun
    spec = pod.running.pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    (policy,) = policies
    assert policy["spec"]["ingress"] == []
    ports = {each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]}
    assert ports == {53, 5353, int(bench.registry.partition("/")[0].partition(":")[2])}
    assert policy["spec"]["podSelector"]["matchLabels"][names.KEY] == step.key[:16]
    assert not bench.objects("NetworkPolicy", "networking.k8s.io/v1")


def test_an_index_whose_build_is_gone_is_not_released(bench: Bench, session: KubernetesSession) -> None:
    plan = lexical(bench)
    end = Carried(session.start(plan.step("release/manuals"), 1)).end()
    assert end.outcome == "failed"
    assert "run again to build the index" in end.reason


def test_a_step_that_prepares_a_language_model_here_is_not_done_again(bench: Bench, session: KubernetesSession) -> None:
    """Its result is on this machine, as everything that is judged here."""
    other = "  llms: {other: {endpoint: {url: 'https://llm.example/v1', model: m}}}\n"
    plan = planned(bench, written(bench, FILE + other))
    step = plan.step("llm/other")
    assert session.result(step) is None
    done(session, step)
    assert session.result(step) is not None
