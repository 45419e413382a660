"""What is applied reads back as it was rendered, so that nobody who compares the two sees a difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from plimsoll.kinds.service_settings import Scale, Telemetry
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.cluster import ENVOY, KEDA, KSERVE, KSERVE_LLM, SAGEMAKER, Cluster
from plimsoll.kubernetes.comparing import differences
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.planning.steps import Step, WorkerResources
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.cleanup import KINDS
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions, Watched
from plimsoll.targets.kubernetes.manifests.models import trust
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.namespace import namespace_manifest
from tests.targets.kubernetes.manifests.test_disaggregated import apart
from tests.targets.kubernetes.manifests.test_inference_pool import several
from tests.targets.kubernetes.test_manifests import pod_of, training

pytestmark = pytest.mark.slow
Manifest = dict[str, Any]
ADDONS = (
    "jobset",
    "kueue",
    "podgroup",
    "trainer",
    "ray",
    "gateway",
    "envoy",
    "kserve",
    "kserve-llm",
    "keda",
    "prometheus",
    "inference",
)
CLUSTER = Cluster(
    target="memory",
    namespace="app",
    gateways=("lab",),
    admitting=("all",),
    classes=("gpu.example.com",),
    served=frozenset(
        {
            f"{ENVOY}/BackendTrafficPolicy",
            f"{KEDA}/ScaledObject",
            f"{KSERVE}/InferenceService",
            f"{KSERVE_LLM}/LLMInferenceService",
        }
    ),
)
CHOSEN = {"serving": "deployment", "traffic": "gateway", "metrics": "operator", "scale": "hpa"}
MERGED = frozenset({"containers", "initContainers", "volumes", "volumeMounts", "env", "listeners", "replicatedJobs"})
"""Lists whose items have keys: what a server fills in of an item belongs to nobody."""


def served(**more: Any) -> ServedVersions:
    shares = (
        Share(version="1", weight=90),
        Share(version="2", weight=10, headers={"cohort": "beta"}),
        Share(version="3", shadow=25),
    )
    models = tuple(ModelFile(name="m", version=each.version, path=f"/w/{each.version}/m.onnx") for each in shares)
    given: dict[str, Any] = {
        "application": "app",
        "service": "triage",
        "file": ServiceFile(models=models, traffic={"m": shares}),
        "models": {f"/w/{each.version}": f"r/m@sha256:{each.version}" for each in shares},
        "key": "k",
        "resources": WorkerResources(cpu=1, memory=2**30),
        "image": "r/runtime@sha256:0",
        "latency": 0.2,
        "watched": {"1": Watched(reference="r/results@sha256:1")},
        "telemetry": Telemetry(traces=True),
    }
    return ServedVersions(**{**given, **more})


def services() -> Iterator[Manifest]:
    yield from objects(served(), CLUSTER, CHOSEN)
    yield from objects(served(service="grows", scale=Scale(min=1, max=3)), CLUSTER, CHOSEN)
    yield from objects(served(service="sleeps", scale=Scale(min=0, max=3)), CLUSTER, CHOSEN)
    yield from objects(served(service="kept"), CLUSTER, {**CHOSEN, "serving": "kserve", "traffic": "service"})
    yield from objects(replace(several(), application="app"), CLUSTER, {**CHOSEN, "routing": "inferencepool"})
    pooled = {**CHOSEN, "routing": "inferencepool"}
    yield from objects(replace(apart(), application="app", service="reads"), CLUSTER, pooled)
    kept = replace(apart(), application="app", service="kept-reads")
    yield from objects(kept, CLUSTER, {**pooled, "engines": "llminferenceservice"})
    accelerated = served(service="fast", resources=WorkerResources(accelerators=1))
    yield from objects(accelerated, CLUSTER, {**CHOSEN, "traffic": "service", "metrics": "annotations"})


def workloads() -> Iterator[Manifest]:
    for provider in gang.MAKERS:
        step: Step[Any] = training(3)
        name, labels = f"app-train-{provider}", names.of_step("app", step)
        yield from claim_template("app", WorkerResources(accelerators=2), CLUSTER)
        yield from gang.workload(provider, name, step, pod_of(step, CLUSTER), labels, CLUSTER).objects


def rendered() -> list[Manifest]:
    own = names.of_application("app")
    found = [trust("app", "app", own, {"key.json": "{}"}), *services(), *workloads()]
    placed = [{**each, "metadata": {**each["metadata"], "namespace": "app"}} for each in found]
    return [namespace_manifest("app", "app"), *placed]


def filled_in(wanted: Any, found: Any, path: str = "", listed: bool = False) -> Iterator[str]:
    """Fields that a server has added to the items of lists that are one value."""
    if isinstance(wanted, dict):
        if listed:
            yield from (f"{path}.{key}" for key in found.keys() - wanted.keys())
        for key, value in wanted.items():
            inside = listed and key not in MERGED
            yield from filled_in(value, found.get(key), f"{path}.{key}", inside if isinstance(value, dict) else False)
    elif isinstance(wanted, list):
        merged = path.rpartition(".")[2] in MERGED
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from filled_in(one, other, f"{path}[{index}]", not merged)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with MemoryCluster(ADDONS) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        found = Api(cluster.context)
        yield found
        found.close()


@pytest.fixture(scope="module")
def stood(api: Api) -> list[tuple[Manifest, Manifest]]:
    """Every manifest beside what the server has made of it."""
    pairs = []
    for each in rendered():
        api.apply(each)
        metadata = each["metadata"]
        pairs.append((each, api.get(each["apiVersion"], each["kind"], metadata["name"], metadata.get("namespace"))))
    return pairs


def test_every_kind_of_object_that_we_make_is_among_them(stood: list[tuple[Manifest, Manifest]]) -> None:
    made = {each["kind"] for each, _ in stood}
    # What is handed to SageMaker takes the place of pods, and is held against its controller's schemas.
    assert {kind for group, kind in KINDS if group != SAGEMAKER} - {"Lease"} <= made


def test_nothing_that_we_say_reads_back_otherwise(stood: list[tuple[Manifest, Manifest]]) -> None:
    assert {each["kind"]: paths for each, found in stood if (paths := differences(each, found))} == {}


def test_nothing_is_filled_in_of_lists_that_are_one_value(stood: list[tuple[Manifest, Manifest]]) -> None:
    assert {each["kind"]: paths for each, found in stood if (paths := list(filled_in(each, found)))} == {}


def test_another_manager_applies_all_of_it_without_a_conflict(api: Api, stood: list[tuple[Manifest, Manifest]]) -> None:
    asked = {"fieldManager": "argocd-controller", "force": "false"}
    refused = []
    for each, _ in stood:
        metadata = each["metadata"]
        place = api.path(each["apiVersion"], each["kind"], metadata.get("namespace"), metadata["name"])
        try:
            api.request("PATCH", place, body=each, parameters=asked, content_type="application/apply-patch+yaml")
        except ApiError as error:
            refused.append(f"{each['kind']}: {error.message}")
    assert refused == []
