"""The inventory of a cluster, from its objects to facts; a run reads nodes and gateway classes in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plimsoll.capabilities.checking import INVENTORY, take_inventory
from plimsoll.evidence.journal import read_journal
from plimsoll.kubernetes.api import Api, ApiError, Manifest, Page
from plimsoll.kubernetes.discovery import look
from plimsoll.kubernetes.nodes import Taint


def node(name: str, ready: bool = True, taints: list[Manifest] | None = None, **more: Any) -> Manifest:
    status = {
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"},
        "nodeInfo": {"kubeletVersion": "v1.37.0", "containerRuntimeVersion": "containerd://2.1.0"},
    }
    labels = {"topology.kubernetes.io/zone": "a", "private": "yes"}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "spec": {"taints": taints or [], **more},
        "status": status,
    }


def named(name: str, **fields: Any) -> Manifest:
    return {"metadata": {"name": name, "namespace": "somewhere"}, **fields}


def device(name: str, **fields: Any) -> Manifest:
    return {"name": name, "attributes": {"uuid": {"string": f"id-{name}"}, "index": {"int": 0}}, **fields}


ACCEPTED = {"conditions": [{"type": "Accepted", "status": "True"}]}
HOOK = {
    "name": "vjobset.kb.io",
    "clientConfig": {"service": {"name": "jobset", "namespace": "system", "path": "/x", "port": 443}},
    "rules": [{"apiGroups": ["jobset.x-k8s.io"], "resources": ["jobsets"]}],
}
OBJECTS: dict[str, list[Manifest]] = {
    "Node": [
        node("good", taints=[{"key": "soft", "effect": "PreferNoSchedule"}]),
        node("tainted", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        node("cordoned", unschedulable=True),
        node("lost", ready=False),
    ],
    "ResourceSlice": [
        {
            "spec": {
                "driver": "gpu.nvidia.com",
                "pool": {"name": "pool"},
                "nodeName": "good",
                "devices": [
                    device("whole", consumesCounters=[{"counterSet": "body"}]),
                    device("part", consumesCounters=[{"counterSet": "body"}, {}]),
                    device("other", allowMultipleAllocations=True),
                ],
            }
        }
    ],
    "Deployment": [named("web", spec={"template": {"spec": {"containers": [{"image": "nginx"}]}}})],
    "StatefulSet": [],
    "DaemonSet": [],
    "RuntimeClass": [named("gvisor", handler="runsc")],
    "DeviceClass": [named("gpu.nvidia.com")],
    "GatewayClass": [
        named("eg", spec={"controllerName": "envoy"}, status=ACCEPTED),
        named("none", spec={"controllerName": "nobody"}),
    ],
    "NodePool": [named("gpus", spec={"limits": {"cpu": 1000, "nvidia.com/gpu": "4"}, "template": {}})],
    "ClusterQueue": [named("queue", spec={}, status={})],
    "Prometheus": [named("k8s", spec={"serviceMonitorSelector": {"matchLabels": {"team": "a"}}})],
    "ValidatingWebhookConfiguration": [named("jobset", webhooks=[HOOK])],
    "MutatingWebhookConfiguration": [
        named("other", webhooks=[{"name": "m", "clientConfig": {"url": "https://elsewhere"}}])
    ],
    "LocalQueue": [],
}
PODS = [
    {
        "spec": {
            "nodeName": "good",
            "schedulerName": "a",
            "containers": [{"resources": {"requests": {"nvidia.com/gpu": "1", "cpu": "1"}}}],
        },
        "status": {"phase": "Running"},
    },
    {
        "spec": {
            "nodeName": "good",
            "schedulerName": "b",
            "containers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}],
        },
        "status": {"phase": "Failed"},
    },
]


class Cluster(Api):
    """Has the objects above, and lets nobody list storage classes."""

    def __init__(self) -> None:
        self.target = "memory"

    def serves(self, api_version: str, kind: str) -> bool:
        return True

    def request(self, method: str, path: str, **more: Any) -> Any:
        versions = [{"groupVersion": "gateway.networking.k8s.io/v1"}]
        return {"/version": {"gitVersion": "v1.37.0", "platform": "linux/amd64"}}.get(
            path, {"groups": [{"name": "gateway.networking.k8s.io", "versions": versions}]}
        )

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
        if kind == "ConfigMap":
            raise ApiError("there is none", status=404)
        return {"metadata": {"uid": "uid-cluster"}}

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        if kind == "StorageClass":
            raise ApiError("storageclasses is forbidden", status=403)
        return OBJECTS[kind]

    def pages(
        self, api_version: str, kind: str, shape: type[Page[Any]], namespace: str | None = None, selector: str = ""
    ) -> Iterator[Sequence[Any]]:
        items = PODS if kind == "Pod" else self.list(api_version, kind)
        content = msgspec.json.encode({"items": items, "metadata": {}})
        yield msgspec.json.decode(content, type=shape).items


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def test_the_inventory_becomes_facts(directory: Path) -> None:
    facts = take_inventory(Cluster(), directory)
    assert (facts.version, facts.cluster, facts.unreadable) == ("v1.37.0", "uid-cluster", ("storage-class",))
    assert [each.name for each in facts.ready_nodes()] == ["good"]
    assert facts.nodes[1].taints == (Taint(key="gpu", value="yes", effect="NoSchedule"),)
    assert facts.nodes[0].labels == {"topology.kubernetes.io/zone": "a"}
    assert [
        (each.node, each.resource or each.driver, each.count) for each in facts.accelerators if each.node == "good"
    ] == [
        ("good", "nvidia.com/gpu", 2),
        # A part of a device is no further device.
        ("good", "gpu.nvidia.com", 2),
    ]
    assert facts.free(facts.by_plugin()[0]) == 1, "a pod that failed holds nothing"
    (slice_,) = facts.slices
    assert [(each.name, each.texts, each.shared, each.counters) for each in slice_.devices] == [
        ("whole", ("uuid",), False, ("body",)),
        ("part", ("uuid",), False, ("body",)),
        ("other", ("uuid",), True, ()),
    ]
    assert [(each.name, each.accepted) for each in facts.gateway_classes] == [("eg", True), ("none", False)]
    assert facts.node_pools[0].limits == {"cpu": 1000, "nvidia.com/gpu": "4"}
    assert facts.prometheuses[0].selectors == {"ServiceMonitor": {"team": "a"}, "PodMonitor": {}}
    assert facts.webhooks[0].hooks[0].kinds == ("jobsets.jobset.x-k8s.io",)
    assert facts.mutating[0].hooks[0].url == "https://elsewhere"
    assert (facts.pods, facts.schedulers) == (2, {"a": 1, "b": 1})
    assert [each.images for each in facts.workloads] == [("nginx",)]


def test_the_inventory_is_written_in_the_form_that_bundles_always_had(directory: Path) -> None:
    take_inventory(Cluster(), directory)
    written = {each.event: dict(each.fact) for each in read_journal(directory / INVENTORY)}
    assert written["version"] == {"event": "version", "gitVersion": "v1.37.0", "platform": "linux/amd64"}
    assert written["webhooks"]["hooks"][0]["service"] == {
        "name": "jobset",
        "namespace": "system",
        "path": "/x",
        "port": 443,
    }
    assert written["mutating-webhooks"]["hooks"][0]["service"] == {}
    assert written["unreadable"] == {
        "event": "unreadable",
        "what": "storage-class",
        "status": 403,
        "message": "storageclasses is forbidden",
    }
    assert written["node"].keys() == {
        "event", "name", "uid", "ready", "schedulable", "taints", "labels", "allocatable", "runtime", "kubelet",
    }  # fmt: skip


def test_a_check_and_a_run_see_the_same_nodes_and_gateways(directory: Path) -> None:
    facts, cluster = take_inventory(Cluster(), directory), look(Cluster(), "default")
    assert {each.name for each in cluster.nodes} == {
        each.name for each in facts.nodes if each.ready and each.schedulable
    }
    by_name = {each.name: each for each in facts.nodes}
    for each in cluster.nodes:
        same = by_name[each.name]
        assert each.taints == tuple(taint.key for taint in same.taints if taint.keeps_pods_off)
        assert (each.kubelet, each.runtime) == (same.kubelet, same.runtime)
    assert cluster.gateways == tuple(each.name for each in facts.gateway_classes if each.accepted)
