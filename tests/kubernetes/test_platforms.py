"""Which platform a cluster is of, and which of its nodes may go, by what platforms document."""

from __future__ import annotations

import pytest

from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.kubernetes.platforms import platform_note


def cluster(version: str, *labels: dict[str, str], kubelet: str = "") -> Cluster:
    nodes = tuple(
        Node(name=f"n{number}", cpu=1, memory=1, labels=each, kubelet=kubelet) for number, each in enumerate(labels)
    )
    return Cluster(target="x", namespace="y", version=version, nodes=nodes)


@pytest.mark.parametrize(
    ("version", "labels", "name"),
    [
        ("v1.34.1-eks-ac2d5a0", {}, "eks"),
        ("v1.34.1", {"eks.amazonaws.com/nodegroup": "gpu"}, "eks"),
        ("v1.34.1-gke.1829001", {}, "gke"),
        ("v1.34.1", {"cloud.google.com/gke-nodepool": "default"}, "gke"),
        ("v1.34.1", {"kubernetes.azure.com/cluster": "mc"}, "aks"),
        ("v1.34.1", {"node.openshift.io/os_id": "rhcos"}, "openshift"),
        ("v1.34.1+k3s1", {}, "k3s"),
        ("v1.34.1+rke2r1", {}, "rke2"),
        ("v1.34.1", {"microk8s.io/cluster": "true"}, "microk8s"),
    ],
)
def test_a_platform_is_known_by_its_version_or_its_labels(version: str, labels: dict[str, str], name: str) -> None:
    assert platform_note(cluster(version, labels)).startswith(f"{name}: ")


def test_a_plain_kubernetes_has_no_note() -> None:
    assert platform_note(cluster("v1.34.1", {"kubernetes.io/hostname": "a", "topology.kubernetes.io/zone": "z"})) == ""


@pytest.mark.parametrize(
    ("own", "spot"),
    [
        ({"eks.amazonaws.com/nodegroup": "a"}, {"eks.amazonaws.com/capacityType": "SPOT"}),
        ({"cloud.google.com/gke-nodepool": "a"}, {"cloud.google.com/gke-spot": "true"}),
        ({"kubernetes.azure.com/cluster": "a"}, {"kubernetes.azure.com/scalesetpriority": "spot"}),
        ({}, {"karpenter.sh/capacity-type": "spot"}),
    ],
)
def test_nodes_that_may_be_taken_away_are_counted(own: dict[str, str], spot: dict[str, str]) -> None:
    note = platform_note(cluster("v1.34.1", own, {**own, **spot}))
    assert "1 of 2 nodes may be taken away at any time" in note


def test_a_node_on_demand_is_none_that_may_go() -> None:
    note = platform_note(cluster("v1.34.1-eks-1", {"eks.amazonaws.com/capacityType": "ON_DEMAND"}))
    assert "taken away" not in note


def test_nodes_of_kubeedge_are_named_by_their_kubelet_and_not_by_a_label_alone() -> None:
    labels = {"node-role.kubernetes.io/edge": ""}
    assert "KubeEdge" in platform_note(cluster("v1.30.0", labels, kubelet="v1.30.7-kubeedge-v1.20.0"))
    assert platform_note(cluster("v1.30.0", labels, kubelet="v1.30.7")) == ""
