"""The network between pods and nodes, network policies, and faults of links."""

from __future__ import annotations

import time

import pytest

from lab import nodes
from lab.kubectl import get, kubectl
from lab.network import delay, netns
from tests.lab.cluster import Namespace, run_lab, until

pytestmark = pytest.mark.lab
SERVER = {"args": ["netexec", "--http-port=8080"], "ports": [{"name": "http", "containerPort": 8080}]}


def _policy(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "server"}}, **spec},
    }


def test_pods_on_different_nodes_talk_by_address_and_by_name(namespace: Namespace) -> None:
    namespace.pod("server", nodeName="node-1", container=SERVER)
    namespace.pod("client", nodeName="node-2")
    service = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": "http"}]}
    namespace.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": service})
    found = namespace.execute("client", "curl", "-sS", "-m", "5", f"http://{namespace.address('server')}:8080/hostname")
    assert found.stdout == "server"
    by_name = ("curl", "-sS", "-m", "5", f"http://server.{namespace.name}.svc.cluster.local/clientip")
    seen = until(lambda: namespace.execute("client", *by_name).stdout, what="an answer by name")
    assert seen.startswith(namespace.address("client")), "the server sees the pod itself, not its node"


@pytest.mark.parametrize("client_node", ["node-1", "node-2"])
def test_a_denied_connection_is_denied_and_its_neighbour_is_not(namespace: Namespace, client_node: str) -> None:
    namespace.pod("server", nodeName="node-1", container=SERVER, wait=False)
    namespace.pod("friend", nodeName=client_node, wait=False)
    namespace.pod("stranger", nodeName=client_node, wait=False)
    for name in ("server", "friend", "stranger"):
        namespace.wait_running(name)
    address = f"{namespace.address('server')}:8080"
    assert namespace.reaches("stranger", address), "control: without a policy every pod connects"
    friend = {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}
    namespace.create(_policy("friends", policyTypes=["Ingress"], ingress=[friend]))
    until(lambda: not namespace.reaches("stranger", address), limit=15, what="the denial")
    assert namespace.reaches("friend", address)
    kubectl("delete", "networkpolicy", "friends", f"-n{namespace.name}")
    until(lambda: namespace.reaches("stranger", address), limit=15, what="the end of the denial")


def test_egress_to_a_port_or_range_that_is_not_named_is_denied(namespace: Namespace) -> None:
    both = {"args": ["netexec", "--http-port=8080", "--udp-port=-1"]}
    namespace.pod("open", nodeName="node-1", container=both, wait=False)
    namespace.pod("server", nodeName="node-2")
    namespace.wait_running("open")
    address = namespace.address("open")
    assert namespace.reaches("server", f"{address}:8080")
    elsewhere = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": [f"{address}/32"]}}]}]
    namespace.create(_policy("out", policyTypes=["Egress"], egress=elsewhere))
    until(lambda: not namespace.reaches("server", f"{address}:8080"), limit=15, what="the denial")
    by_port = [{"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [{"port": 8000, "endPort": 8100}]}]
    namespace.create(_policy("out", policyTypes=["Egress"], egress=by_port))
    until(lambda: namespace.reaches("server", f"{address}:8080"), limit=15, what="the allowed range")


def test_a_policy_by_namespace_lets_in_the_one_that_is_named(namespace: Namespace) -> None:
    other = Namespace(team="trusted")
    try:
        namespace.pod("server", container=SERVER, wait=False)
        namespace.pod("near", wait=False)
        other.pod("far")
        for name in ("server", "near"):
            namespace.wait_running(name)
        trusted = {"from": [{"namespaceSelector": {"matchLabels": {"team": "trusted"}}}]}
        namespace.create(_policy("trusted", policyTypes=["Ingress"], ingress=[trusted]))
        address = f"{namespace.address('server')}:8080"
        until(lambda: not namespace.reaches("near", address), limit=15, what="the denial")
        assert other.reaches("far", address)
    finally:
        other.delete()


def test_a_cut_node_is_noticed_and_mended(namespace: Namespace) -> None:
    namespace.pod("far", nodeName="node-2", container=SERVER)
    namespace.pod("near", nodeName="node-1")
    address = f"{namespace.address('far')}:8080"
    assert namespace.reaches("near", address)
    node = nodes.named("node-2")
    netns.cut(node)
    try:
        assert netns.is_cut(node)
        assert not namespace.reaches("near", address)
        until(lambda: _ready("node-2") == "Unknown", limit=60, what="NotReady")
    finally:
        netns.mend(node)
    nodes.wait_ready([node])
    assert namespace.reaches("near", address)


def _ready(name: str) -> str:
    conditions = get("node", name)["status"]["conditions"]
    return next(str(each["status"]) for each in conditions if each["type"] == "Ready")


def test_a_slowed_node_answers_later_by_what_was_asked(namespace: Namespace) -> None:
    namespace.pod("far", nodeName="node-2", container=SERVER)
    namespace.pod("near", nodeName="node-1")
    node = nodes.named("node-2")
    before = _round_trip(namespace, "near", f"{namespace.address('far')}:8080")
    delay.set_delay(node, 50)
    try:
        slowed = _round_trip(namespace, "near", f"{namespace.address('far')}:8080")
    finally:
        delay.set_delay(node, 0)
    after = _round_trip(namespace, "near", f"{namespace.address('far')}:8080")
    # A connection and a request are two round trips, each with 50 ms in both directions.
    assert slowed - before >= 0.2
    assert after < 0.1


def test_what_stays_in_a_rack_is_not_slowed_by_a_delay_between_racks(namespace: Namespace) -> None:
    namespace.pod("far", nodeName="node-2", container=SERVER)
    namespace.pod("near", nodeName="node-1")
    address = f"{namespace.address('far')}:8080"
    slowed = run_lab("node", "slow", "node-2", "--delay", "50ms", "--beyond-rack")
    try:
        assert slowed.returncode == 0, slowed.stderr
        assert _round_trip(namespace, "near", address) >= 0.2
        delay.set_delay(nodes.named("node-2"), 50, [])
        assert _round_trip(namespace, "near", address) < 0.1
    finally:
        delay.set_delay(nodes.named("node-2"), 0)


def _round_trip(namespace: Namespace, pod: str, address: str) -> float:
    """The time of the fastest of three requests, in seconds."""
    timing = ("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{time_total}", f"http://{address}/hostname")
    found = []
    for _ in range(3):
        found.append(float(namespace.execute(pod, *timing).stdout))
        time.sleep(0.05)
    return min(found)
