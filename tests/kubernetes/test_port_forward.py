"""A port of this machine that leads to a port of a pod, through an API server."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.port_forward import Forward, ready_pod, to_service
from tests.kubernetes.asking import Manifest, pod, service

PLACE = "here"
LARGE = 3 << 20


class Echo(BaseHTTPRequestHandler):
    """Gives back what it is sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inner() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def serving(cluster: MemoryCluster, name: str, *, ready: bool = True, **metadata: Any) -> Manifest:
    """A pod of the service `web`."""
    made = pod(name, node="node-1", namespace=PLACE, labels={"app": "web"}, **metadata)
    made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    condition = {"type": "Ready", "status": str(ready)}
    return cluster.put({**made, "status": {"phase": "Running", "conditions": [condition]}})


def exposed(cluster: MemoryCluster, *ports: Manifest) -> Manifest:
    made = service("web", *ports)
    made["metadata"]["namespace"] = PLACE
    return cluster.put(made)


def echoed(address: str, content: bytes) -> bytes:
    with urllib.request.urlopen(f"http://{address}/", data=content, timeout=20) as answer:
        found: bytes = answer.read()
        return found


def test_a_service_is_reached_through_a_ready_pod(cluster: MemoryCluster, api: Api, inner: int) -> None:
    exposed(cluster, {"port": 80, "targetPort": 8080})
    serving(cluster, "first", ready=False)
    serving(cluster, "second")
    cluster.lead(PLACE, "second", 8080, inner)
    with to_service(api, PLACE, "web") as address:
        assert echoed(address, b"hello") == b"hello"


def test_what_is_large_arrives_whole(cluster: MemoryCluster, api: Api, inner: int) -> None:
    exposed(cluster, {"port": 80, "targetPort": 8080})
    serving(cluster, "one")
    cluster.lead(PLACE, "", 8080, inner)
    content = bytes(range(256)) * (LARGE // 256)
    with to_service(api, PLACE, "web") as address:
        assert echoed(address, content) == content


def test_each_connection_is_its_own(cluster: MemoryCluster, api: Api, inner: int) -> None:
    exposed(cluster, {"port": 80, "targetPort": 8080})
    serving(cluster, "one")
    cluster.lead(PLACE, "one", 8080, inner)
    found: dict[int, bytes] = {}

    def call(address: str, number: int) -> None:
        found[number] = echoed(address, str(number).encode())

    with to_service(api, PLACE, "web") as address:
        callers = [threading.Thread(target=call, args=(address, number)) for number in range(4)]
        for each in callers:
            each.start()
        for each in callers:
            each.join(20)
    assert found == {number: str(number).encode() for number in range(4)}


def test_the_port_of_a_service_leads_to_the_one_that_it_names(cluster: MemoryCluster, api: Api) -> None:
    exposed(cluster, {"name": "a", "port": 80, "targetPort": 9000}, {"name": "b", "port": 81, "targetPort": "http"})
    serving(cluster, "one")
    assert ready_pod(api, PLACE, "web") == ("one", 9000)
    assert ready_pod(api, PLACE, "web", 81) == ("one", 8080)


def test_a_port_that_no_container_has_is_named(cluster: MemoryCluster, api: Api) -> None:
    exposed(cluster, {"port": 80, "targetPort": "grpc"})
    serving(cluster, "one")
    with pytest.raises(TargetError, match="the pod has no port 'grpc'"):
        ready_pod(api, PLACE, "web")


def test_a_service_without_a_ready_pod_says_so(cluster: MemoryCluster, api: Api) -> None:
    exposed(cluster, {"port": 80, "targetPort": 8080})
    serving(cluster, "one", ready=False)
    serving(cluster, "two", deletionTimestamp="2026-01-01T00:00:00Z")
    with pytest.raises(TargetError, match="no pod of the service web is ready"), to_service(api, PLACE, "web"):
        pass


def test_a_service_that_selects_no_pods_leads_to_none(cluster: MemoryCluster, api: Api) -> None:
    made = exposed(cluster, {"port": 80, "targetPort": 8080})
    serving(cluster, "stranger")
    cluster.put({**made, "spec": {"ports": made["spec"]["ports"]}})
    with pytest.raises(TargetError, match="the service web has no selector"):
        ready_pod(api, PLACE, "web")
    cluster.put({**made, "spec": {"clusterIP": "None", "selector": {"app": "web"}}})
    with pytest.raises(TargetError, match="the service web has no ports"):
        ready_pod(api, PLACE, "web")


def test_a_service_that_is_not_there_is_not_found(cluster: MemoryCluster, api: Api) -> None:
    with pytest.raises(ApiError, match='services "web" not found'), to_service(api, PLACE, "web"):
        pass


def test_a_port_where_nobody_listens_ends_the_connection_and_says_why(cluster: MemoryCluster, api: Api) -> None:
    serving(cluster, "one")
    forward = Forward(api, PLACE, "one", 8080)
    try:
        with socket.create_connection(("127.0.0.1", forward.port), timeout=10) as connection:
            assert connection.recv(1) == b""
        assert cluster.wait_for(lambda: "refused" in forward.problem)
    finally:
        forward.close()


def test_a_right_that_is_lacking_ends_the_connection_and_says_so(cluster: MemoryCluster, api: Api) -> None:
    serving(cluster, "one")
    cluster.deny(resource="pods/portforward")
    forward = Forward(api, PLACE, "one", 8080)
    try:
        with socket.create_connection(("127.0.0.1", forward.port), timeout=10) as connection:
            assert connection.recv(1) == b""
        assert cluster.wait_for(lambda: forward.problem)
        assert cluster.seen()[-1].code == 403
    finally:
        forward.close()


def test_closing_ends_what_is_open_and_lets_the_port_go(cluster: MemoryCluster, api: Api, inner: int) -> None:
    serving(cluster, "one")
    cluster.lead(PLACE, "one", 8080, inner)
    forward = Forward(api, PLACE, "one", 8080)
    with socket.create_connection(("127.0.0.1", forward.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        forward.close()
        connection.settimeout(10)
        while connection.recv(1024):
            pass
    with pytest.raises(OSError, match=r"(?i)refused"):
        socket.create_connection(("127.0.0.1", forward.port), timeout=5)
