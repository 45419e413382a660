"""Which nodes pods ask for: kinds of accelerators, slices of TPUs, and nodes that may be taken away."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.planning.steps import WorkerResources
from plimsoll.targets.kubernetes.manifests.nodes import on_nodes
from plimsoll.targets.kubernetes.manifests.pod import wanted
from tests.targets.kubernetes.bench import Bench
from tests.targets.kubernetes.clouds import LABELS, node, prepared

CLOUD = "  targets:\n    cloud: {context: CONTEXT, route: REGISTRY}\n"


def cluster(platform: str, *, extended: dict[str, int] | None = None, labels: dict[str, str] | None = None) -> Cluster:
    own = {**LABELS.get(platform, {}), **(labels or {})}
    return Cluster(
        target="x", namespace="y", nodes=(Node(name="n", cpu=1, memory=1, labels=own, extended=extended or {}),)
    )


def terms(spec: dict[str, Any]) -> list[dict[str, tuple[str, ...]]]:
    """The alternatives of a pod's affinity for nodes: operator and values by label."""
    node = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [
        {each["key"]: (each["operator"], *each["values"]) for each in term["matchExpressions"]}
        for term in node["nodeSelectorTerms"]
    ]


def test_nothing_is_asked_of_nodes_where_nothing_is_said() -> None:
    assert on_nodes({}, WorkerResources(accelerators=2), cluster("gke")) == {}


def test_a_slice_asks_for_nodes_of_its_topology_and_for_all_chips_of_a_host() -> None:
    asked = WorkerResources(accelerator="v6e", slice="4x4", accelerators=4)
    spec = on_nodes({}, asked, cluster("gke"))
    assert spec["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    assert spec["tolerations"] == [{"key": "google.com/tpu", "operator": "Exists", "effect": "NoSchedule"}]
    _, resources = wanted(asked, cluster("gke", extended={"nvidia.com/gpu": 64}), "shop", workers=4)
    assert resources["limits"] == {"google.com/tpu": "4"}


@pytest.mark.parametrize(
    ("platform", "label", "value"),
    [
        ("gke", "cloud.google.com/gke-accelerator", "nvidia-h100-mega-80gb"),
        ("eks", "node.kubernetes.io/instance-type", "p5.48xlarge"),
        ("aks", "node.kubernetes.io/instance-type", "Standard_ND96isr_H100_v5"),
    ],
)
def test_a_kind_of_accelerator_is_found_by_labels_of_the_platform_or_of_its_driver(
    platform: str, label: str, value: str
) -> None:
    spec = on_nodes({}, WorkerResources(accelerator="h100", accelerators=8), cluster(platform), ("amd64", "arm64"))
    found = terms(spec)
    assert [value in each[label] for each in found if label in each] == [True]
    assert any("NVIDIA-H100-80GB-HBM3" in each.get("nvidia.com/gpu.product", ()) for each in found)
    # What the image runs on holds in each of the alternatives.
    assert all(each["kubernetes.io/arch"] == ("In", "amd64", "arm64") for each in found)
    assert len(found) == 2


@pytest.mark.parametrize(("name", "efa"), [("trn1", "8"), ("trn1n", "16"), ("trn2", "16")])
def test_a_gang_on_trainium_has_the_network_devices_of_its_nodes(name: str, efa: str) -> None:
    asked = WorkerResources(accelerator=name, accelerators=16)
    _, resources = wanted(asked, cluster("eks"), "shop", workers=2)
    assert resources["limits"] == {"aws.amazon.com/neuron": "16", "vpc.amazonaws.com/efa": efa}
    _, alone = wanted(asked, cluster("eks"), "shop")
    assert alone["limits"] == {"aws.amazon.com/neuron": "16"}


def test_network_devices_are_as_many_as_nodes_that_are_there_have() -> None:
    asked = WorkerResources(accelerator="h200", accelerators=8)
    labels = {"node.kubernetes.io/instance-type": "p5en.48xlarge"}
    seen = cluster("eks", labels=labels, extended={"nvidia.com/gpu": 8, "vpc.amazonaws.com/efa": 16})
    _, resources = wanted(asked, seen, "shop", workers=2)
    assert resources["limits"]["vpc.amazonaws.com/efa"] == "16"
    _, without = wanted(asked, cluster("eks", labels=labels, extended={"nvidia.com/gpu": 8}), "shop", workers=2)
    assert "vpc.amazonaws.com/efa" not in without["limits"]


@pytest.mark.parametrize(
    ("platform", "label", "value"),
    [
        ("eks", "eks.amazonaws.com/capacityType", "SPOT"),
        ("gke", "cloud.google.com/gke-spot", "true"),
        ("aks", "kubernetes.azure.com/scalesetpriority", "spot"),
    ],
)
def test_spot_only_never_and_allowed_are_what_the_platform_labels_and_taints(
    platform: str, label: str, value: str
) -> None:
    only = on_nodes({}, WorkerResources(spot="only"), cluster(platform))
    assert {label: ("In", value)} in terms(only)
    toleration = {"key": label, "operator": "Equal", "value": value, "effect": "NoSchedule"}
    assert toleration in only["tolerations"]
    (never,) = terms(on_nodes({}, WorkerResources(spot="never"), cluster(platform)))
    assert never[label] == ("NotIn", value)
    assert all(operator == "NotIn" for operator, *_ in never.values())
    allowed = on_nodes({}, WorkerResources(spot="allowed"), cluster(platform))
    assert toleration in allowed["tolerations"]
    assert "affinity" not in allowed


def test_accelerators_on_nodes_that_may_go_ask_for_both_at_once() -> None:
    found = terms(on_nodes({}, WorkerResources(accelerator="h100", accelerators=1, spot="only"), cluster("gke")))
    assert all(len(each) == 2 for each in found)
    assert {"cloud.google.com/gke-accelerator", "cloud.google.com/gke-spot"} in [set(each) for each in found]


def train(settings: str) -> str:
    return f"{CLOUD}  models:\n    m: {{train: {{run: python train.py, {settings}}}}}\n"


REFUSED = (
    (
        "eks",
        "resources: {accelerator: v5e, slice: 2x2}",
        "train/m asks for v5e, which Amazon EKS does not have; Google Kubernetes Engine has",
        "another target",
    ),
    ("gke", "resources: {accelerator: trn1, accelerators: 16}", "Amazon EKS has", "another target"),
    (
        "",
        "resources: {accelerator: h100, accelerators: 1}",
        "asks for h100, which no node of memory has by its label nvidia.com/gpu.product",
        "label such nodes so",
    ),
    ("gke", "resources: {spot: only}", "may be taken away at any time, and is not tried again", "write retries: 3"),
    ("", "retries: 1, resources: {spot: only}", "memory has none by their labels", "spot: allowed"),
)


@pytest.mark.slow
def test_what_no_node_will_do_for_is_refused_before_anything_is_made(bench: Bench) -> None:
    for platform, settings, words, remedy in REFUSED:
        node(bench, platform)
        with pytest.raises(FileError) as refused:
            prepared(bench, train(settings))
        assert words.replace("memory", bench.cluster.context) in str(refused.value)
        assert remedy in refused.value.hint
        assert "plimsoll.yaml:" in str(refused.value)


def test_accelerators_of_a_kind_are_counted_on_nodes_of_that_kind_alone(bench: Bench) -> None:
    node(bench, "", labels={"nvidia.com/gpu.product": "NVIDIA-H200"}, extended={"nvidia.com/gpu": 2})
    node(bench, "", "node-1", extended={"nvidia.com/gpu": 8})
    assert prepared(bench, train("resources: {accelerator: h200, accelerators: 2}")).plan.step("train/m")
    with pytest.raises(FileError, match="asks for 4 h200; the largest of 1 nodes has 2"):
        prepared(bench, train("resources: {accelerator: h200, accelerators: 4}"))
    with pytest.raises(FileError, match="2 workers of train/m ask for 4 h200 together"):
        prepared(bench, train("workers: 2, resources: {accelerator: h200, accelerators: 2}"))


def test_on_a_cloud_that_adds_nodes_a_slice_need_not_be_there_yet(bench: Bench) -> None:
    node(bench, "gke")
    step = prepared(bench, train("framework: jax, retries: 2, resources: {accelerator: v5e, slice: 4x8}")).plan.step(
        "train/m"
    )
    assert (step.workers, step.resources.accelerators) == (8, 4)
