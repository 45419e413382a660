"""Manifests for Git: the same application gives the same bytes, which are what is up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from plimsoll.errors import TargetError
from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory.controllers import JobSets
from plimsoll.planning.steps import AnyStep, InputFile, Plan
from plimsoll.targets.features import MANIFESTS
from plimsoll.targets.kubernetes.target import KubernetesTarget
from tests.targets.kubernetes.bench import APPLICATION, Bench, Manifest, done
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.serving import inference, registered, serve_step, shares


@pytest.fixture
def bench(new_bench: NewBench) -> Iterator[Bench]:
    """A cluster with most of what services can use; nothing programmes its gateways."""
    made = new_bench("jobset", "envoy", "prometheus")
    made.cluster.run(JobSets())
    with inference(made):
        yield made


def plan_of(*steps: AnyStep) -> Plan:
    return Plan(application=APPLICATION, target="memory", steps=steps)


def rendered(target: KubernetesTarget, plan: Plan) -> bytes:
    return msgspec.json.encode(target.manifests(plan))


def place(manifest: Manifest) -> tuple[str, str, str, str]:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace", "")


def test_the_same_plan_gives_the_same_bytes(bench: Bench) -> None:
    session = bench.session()
    registered(bench, session, "first")
    model = registered(bench, session, "second")
    plan = plan_of(
        serve_step(bench, model, "api", shares=shares(v1=90, v2=10), latency=0.2),
        serve_step(bench, model, "scaled", scale=Scale(min=1, max=4)),
    )
    first = rendered(bench.target(), plan)
    assert rendered(bench.target(), plan) == first
    assert b"sha256:" in first


def test_rendering_changes_nothing_on_the_cluster(bench: Bench) -> None:
    session = bench.session()
    plan = plan_of(serve_step(bench, registered(bench, session)))
    before = len([each for each in bench.cluster.seen() if each.changes])
    bench.target().manifests(plan)
    assert len([each for each in bench.cluster.seen() if each.changes]) == before
    assert bench.objects("Deployment", "apps/v1") == []


def standing(api: Api, manifest: Manifest) -> object:
    """What may not change of an object: its version, and of the keys, which nobody owns alone, their content."""
    found = api.get(*place(manifest))
    return found["data"] if found["metadata"]["name"].endswith("-trust") else found["metadata"]["resourceVersion"]


def test_applying_what_is_rendered_changes_nothing_of_what_is_up(bench: Bench) -> None:
    session = bench.session()
    step = serve_step(bench, registered(bench, session), latency=0.2, scale=Scale(min=1, max=4))
    done(session, step)
    target = bench.target()
    manifests = target.manifests(plan_of(step))
    before = {place(each): standing(target.api, each) for each in manifests}
    for each in manifests:
        target.api.apply(each)

    after = {place(each): standing(target.api, each) for each in manifests}
    assert after == before
    assert len(before) == len(manifests) > 8


def test_what_is_rendered_is_all_that_is_needed_elsewhere(bench: Bench) -> None:
    """A GitOps controller applies it to a namespace that is not there yet."""
    session = bench.session()
    step = serve_step(bench, registered(bench, session))
    target = bench.target()
    manifests = target.manifests(plan_of(step))
    target.remove()
    for each in manifests:
        target.api.apply(each)

    assert bench.cluster.wait_for(lambda: dict(target.services()))
    assert [each["kind"] for each in manifests][:2] == ["Namespace", "ConfigMap"]


def test_what_services_have_in_common_is_rendered_once(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session)
    manifests = bench.target().manifests(plan_of(serve_step(bench, model), serve_step(bench, model, "other")))
    places = [place(each) for each in manifests]
    assert len(set(places)) == len(places)
    assert [each["kind"] for each in manifests].count("ServiceAccount") == 1


def test_only_what_keeps_running_is_rendered(bench: Bench) -> None:
    manifests = bench.target().manifests(plan_of(bench.command("clean"), bench.training("triage")))
    assert [each["kind"] for each in manifests] == ["Namespace", "ConfigMap"]


def test_a_model_that_is_not_trained_yet_is_asked_for(bench: Bench, tmp_path: Path) -> None:
    session = bench.session()
    step = serve_step(bench, registered(bench, session))
    elsewhere = bench.target(directory=tmp_path / "elsewhere")
    with pytest.raises(TargetError, match="the model of the service api is not trained yet") as refused:
        elsewhere.manifests(plan_of(step))
    assert refused.value.hint == "train it first: plimsoll run --target memory"


def test_a_drift_reference_that_is_not_made_yet_is_asked_for(bench: Bench) -> None:
    session = bench.session()
    table = bench.command("table", "rows.csv")
    done(session, table)
    given = InputFile(name="table", step=table.name, key=table.key, file="rows.csv")
    step = serve_step(bench, registered(bench, session), reference=given)
    with pytest.raises(TargetError, match=r"the drift reference of triage@1 is not in the registry") as refused:
        bench.target().manifests(plan_of(step))
    assert refused.value.hint == "make it first: plimsoll run --target memory"


def test_the_feature_is_the_targets_own(bench: Bench) -> None:
    target = bench.target()
    render = target.features.require(MANIFESTS)
    assert [each["kind"] for each in render(plan_of())] == ["Namespace", "ConfigMap"]


def test_a_namespace_of_others_is_not_rendered(bench: Bench) -> None:
    """Whoever applies the manifests would put our label onto it, and `down` would take it for ours."""
    bench.target().api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})
    assert [each["kind"] for each in bench.target().manifests(plan_of())] == ["ConfigMap"]
