"""What is seen of a cluster, and what is left out when it may not be read."""

from __future__ import annotations

import pytest

from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.cluster import DRA, GATEWAY, KUEUE, RegistryPlace
from plimsoll.kubernetes.discovery import BASE, look
from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.kubernetes.memory.controllers import Gateways, Queues
from tests.kubernetes.asking import Manifest, config_map

HOSTING = """
host: "registry.example:5000"
hostFromContainerRuntime: "registry.node:5000"
hostFromClusterNetwork: "registry.svc:5000"
"""


def published(cluster: MemoryCluster, name: str, **data: str) -> None:
    cluster.put(config_map(name, data, namespace="kube-public"))


def active(kind: str, name: str, namespace: str = "", **spec: object) -> Manifest:
    where = {"namespace": namespace} if namespace else {}
    status = {"conditions": [{"type": "Active", "status": "True"}]}
    return {
        "apiVersion": KUEUE,
        "kind": kind,
        "metadata": {"name": name, **where},
        "spec": spec,
        "status": status,
    }


def test_the_version_and_the_kinds_that_decide_are_told(cluster: MemoryCluster, api: Api) -> None:
    found = look(api, "here")
    assert (found.target, found.namespace, found.version) == ("memory", "here", "v1.34.2")
    assert found.serves(f"{KUEUE}/LocalQueue")
    assert found.serves(f"{GATEWAY}/HTTPRoute")
    assert found.serves(f"{DRA}/DeviceClass")
    assert not found.serves("ray.io/v1/RayJob")


def test_nodes_are_those_that_take_pods(cluster: MemoryCluster, api: Api) -> None:
    labels = {"topology.kubernetes.io/rack": "a"}
    taints = [{"key": "special", "effect": "NoSchedule"}, {"key": "soft", "effect": "PreferNoSchedule"}]
    cluster.add_node("one", cpu="7500m", memory="2Gi", extended={"nvidia.com/gpu": 4}, labels=labels, taints=taints)
    cluster.add_node("broken", ready=False)
    cordoned = cluster.add_node("cordoned")
    cluster.put({**cordoned, "spec": {"unschedulable": True}})
    (node,) = look(api, "here").nodes
    assert (node.name, node.cpu, node.memory) == ("one", 7.5, 2 << 30)
    assert (node.extended, node.taints) == ({"nvidia.com/gpu": 4}, ("special",))
    found = look(api, "here")
    assert (found.accelerator, found.rack_label) == ("nvidia.com/gpu", "topology.kubernetes.io/rack")


def test_nodes_of_1_35_and_containerd_2_1_mount_images(cluster: MemoryCluster, api: Api) -> None:
    made = cluster.add_node("one")
    assert not look(api, "here").mounts_images
    info = {"kubeletVersion": "v1.35.0", "containerRuntimeVersion": "containerd://2.1.0"}
    cluster.put({**made, "status": {**made["status"], "nodeInfo": info}})
    assert look(api, "here").mounts_images


def test_the_published_registry_has_three_names(cluster: MemoryCluster, api: Api) -> None:
    published(cluster, "local-registry-hosting", **{"localRegistryHosting.v1": HOSTING})
    wanted = RegistryPlace(nodes="registry.node:5000", pods="registry.svc:5000", us="registry.example:5000")
    assert look(api, "here").registry == wanted


def test_a_registry_without_a_name_for_us_is_reached_through_the_cluster(cluster: MemoryCluster, api: Api) -> None:
    told = 'hostFromContainerRuntime: "registry.node:5000"'
    published(cluster, "local-registry-hosting", **{"localRegistryHosting.v1": told})
    wanted = RegistryPlace(nodes="registry.node:5000", pods="registry.node:5000", us=None)
    assert look(api, "here").registry == wanted


@pytest.mark.parametrize("told", ["host: [1, 2]", "{", "nothing: here", ""])
def test_a_published_registry_that_says_nothing_is_none(cluster: MemoryCluster, api: Api, told: str) -> None:
    published(cluster, "local-registry-hosting", **{"localRegistryHosting.v1": told})
    assert look(api, "here").registry is None


def test_what_the_caller_says_comes_first(cluster: MemoryCluster, api: Api) -> None:
    published(cluster, "local-registry-hosting", **{"localRegistryHosting.v1": HOSTING})
    published(cluster, "plimsoll", base="registry.example/base:1")
    assert look(api, "here").base == "registry.example/base:1"
    found = look(api, "here", registry="mine:5000", base="mine/base:2")
    assert found.registry == RegistryPlace(nodes="mine:5000", pods="mine:5000", us="mine:5000")
    assert found.base == "mine/base:2"


def test_queues_are_those_of_the_namespace(cluster: MemoryCluster, api: Api) -> None:
    cluster.put(active("LocalQueue", "b", "here", clusterQueue="all"))
    cluster.put(active("LocalQueue", "a", "here", clusterQueue="all"))
    cluster.put(active("LocalQueue", "other", "there", clusterQueue="all"))
    assert look(api, "here").queues == ("a", "b")


def test_cluster_queues_admit_when_they_are_open_to_all_and_active(cluster: MemoryCluster, api: Api) -> None:
    cluster.put(active("ClusterQueue", "open", namespaceSelector={}))
    cluster.put(active("ClusterQueue", "closed"))
    cluster.put(active("ClusterQueue", "some", namespaceSelector={"matchLabels": {"a": "b"}}))
    cluster.put({**active("ClusterQueue", "idle", namespaceSelector={}), "status": {}})
    assert look(api, "here").admitting == ("open",)


def test_a_queue_admits_once_its_controller_says_so(cluster: MemoryCluster, api: Api) -> None:
    spec: Manifest = {"namespaceSelector": {}}
    api.create({"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": {"name": "all"}, "spec": spec})
    assert look(api, "here").admitting == ()
    cluster.run(Queues())
    assert cluster.wait_for(lambda: look(api, "here").admitting == ("all",))


def test_gateway_classes_count_once_they_are_accepted(cluster: MemoryCluster, api: Api) -> None:
    for name, controller in (("mine", "plimsoll.dev/memory"), ("other", "example.com/other")):
        made = {"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": name}}
        api.create({**made, "spec": {"controllerName": controller}})
    assert look(api, "here").gateways == ()
    cluster.run(Gateways())
    assert cluster.wait_for(lambda: look(api, "here").gateways == ("mine",))


def test_device_classes_are_told_by_name(cluster: MemoryCluster, api: Api) -> None:
    cluster.put({"apiVersion": DRA, "kind": "DeviceClass", "metadata": {"name": "gpu"}, "spec": {}})
    assert look(api, "here").classes == ("gpu",)


def test_custom_metrics_are_a_group_that_is_served(cluster: MemoryCluster, api: Api) -> None:
    assert not look(api, "here").custom_metrics
    cluster.serve("custom.metrics.k8s.io/v1beta2", "MetricValueList", "metrics")
    assert look(api, "here").custom_metrics


def test_what_may_not_be_read_counts_as_not_there(cluster: MemoryCluster, api: Api) -> None:
    cluster.add_node("one")
    cluster.put(active("LocalQueue", "a", "here", clusterQueue="all"))
    published(cluster, "local-registry-hosting", **{"localRegistryHosting.v1": HOSTING})
    for resource in ("nodes", "localqueues", "clusterqueues", "gatewayclasses", "deviceclasses", "configmaps"):
        cluster.deny(resource=resource)
    found = look(api, "here")
    assert (found.nodes, found.queues, found.admitting, found.gateways, found.classes) == ((), (), (), (), ())
    assert (found.registry, found.base) == (None, BASE)
    assert found.serves(f"{KUEUE}/LocalQueue")


def test_a_user_without_any_right_still_sees_what_is_served(cluster: MemoryCluster) -> None:
    cluster.add_node("one")
    theirs = Api(cluster.user("guest"))
    found = look(theirs, "here")
    theirs.close()
    assert found.serves(f"{GATEWAY}/HTTPRoute")
    assert found.nodes == ()


def test_credentials_that_have_run_out_are_told(cluster: MemoryCluster, api: Api) -> None:
    cluster.fail(
        Fault(when=lambda request: request.path.startswith("/api/v1/nodes"), status=401, message="Unauthorized")
    )
    with pytest.raises(ApiError) as refused:
        look(api, "here")
    assert (refused.value.status, refused.value.hint) == (401, "the credentials have run out; log in again")
