"""The gateway routes real requests by weight and by header."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
REQUESTS = 300


def backend(namespace: Namespace, name: str) -> None:
    serve = {"args": ["netexec", "--http-port=8080"], "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}
    namespace.pod(name, container=serve)
    namespace.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )


def gateway(namespace: Namespace) -> str:
    """Creates a gateway and returns its address."""
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    namespace.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "gateway"},
            "spec": {"gatewayClassName": "lab", "listeners": [listener]},
        }
    )

    def programmed() -> str | None:
        status = namespace.get("gateway", "gateway").get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return status["addresses"][0]["value"] if conditions.get("Programmed") == "True" else None

    return str(until(programmed, limit=90, what="the gateway"))


def route(namespace: Namespace, *rules: Manifest) -> None:
    namespace.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "route"},
            "spec": {"parentRefs": [{"name": "gateway"}], "rules": list(rules)},
        }
    )


def answers(namespace: Namespace, address: str, count: int, *options: str) -> list[str]:
    """The answers to `count` requests from inside the cluster; the status, such as "503", for an error."""
    ask = f"curl -s -m 5 -w ' %{{http_code}}\\n' {' '.join(options)} 'http://{address}/hostname?[1-{count}]'"
    lines = namespace.execute("client", "sh", "-c", ask, limit=120).stdout.splitlines()
    return [body if code == "200" else code for body, _, code in (line.rpartition(" ") for line in lines)]


def test_weights_and_headers_lead_to_their_backends_and_a_route_to_nowhere_to_none(
    up: Up, namespace: Namespace
) -> None:
    up("gateway")
    one, two = (f"backend-{secrets.token_hex(3)}" for _ in range(2))
    for name in (one, two):
        backend(namespace, name)
    namespace.pod("client")
    address = gateway(namespace)
    by_header = {
        "matches": [{"headers": [{"name": "x-model", "value": "two"}]}],
        "backendRefs": [{"name": two, "port": 80}],
    }
    split = {"backendRefs": [{"name": one, "port": 80, "weight": 80}, {"name": two, "port": 80, "weight": 20}]}
    route(namespace, by_header, split)
    until(lambda: answers(namespace, address, 1) in ([one], [two]), limit=60, what="a first answer")
    found = answers(namespace, address, REQUESTS)
    assert len(found) == REQUESTS
    assert set(found) == {one, two}
    # 80 % of 300 is 240. Six standard deviations of 6.9 hold in all but one of a billion runs.
    assert 198 <= found.count(one) <= 282
    assert set(answers(namespace, address, 50, "-H", "'x-model: two'")) == {two}
    route(namespace, {"backendRefs": [{"name": "nobody", "port": 80}]})
    until(lambda: answers(namespace, address, 1) == ["500"], limit=30, what="the refusal")


def test_the_gateways_objects_are_validated(up: Up, namespace: Namespace) -> None:
    up("gateway")
    from lab.errors import LabError

    with pytest.raises(LabError, match="weight"):
        route(namespace, {"backendRefs": [{"name": "x", "port": 80, "weight": -1}]})
    assert json.dumps(namespace.get("httproute")) == "[]"
