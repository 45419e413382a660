"""Cheats with gateways: a controller replaces Envoy Gateway. It writes conditions and at most runs a simple server."""

from __future__ import annotations

import random
import sys
import threading
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab import layout
from lab.cheats.client import Client, again_and_again
from lab.cheats.scene import Scene
from lab.kubectl import rolled_out

_API = "/apis/gateway.networking.k8s.io/v1"
_NAMESPACE, _CONTROLLER = "envoy-gateway-system", "envoy-gateway"
_CLASS, _NAME = "lab", "gateway.envoyproxy.io/gatewayclass-controller"
_PORT = 80


def on(scene: Scene) -> None:
    """Stop the real controller and start the cheat's."""
    scene.change("deployment", _CONTROLLER, {"spec": {"replicas": 0}}, _NAMESPACE)
    rolled_out(_NAMESPACE, f"deployment/{_CONTROLLER}")
    scene.run("gateways", scene.name)


def _conditions(generation: int, *kinds: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"status": "True", "message": "", "observedGeneration": generation, "lastTransitionTime": now}
    return [{"type": kind, "reason": kind, **common} for kind in kinds]


class _Routes:
    """The rules of the newest route, with the addresses of their backends."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []

    def step(self, client: Client) -> None:
        """Set every condition to True, and read the routes."""
        for gateway in client.items(f"{_API}/gateways"):
            if gateway["spec"]["gatewayClassName"] == _CLASS:
                address = {"type": "IPAddress", "value": str(layout.CONTROL_PLANE_ADDRESS)}
                conditions = _conditions(gateway["metadata"]["generation"], "Accepted", "Programmed")
                _write_status(client, "gateways", gateway, {"addresses": [address], "conditions": conditions})
        for route in client.items(f"{_API}/httproutes"):
            conditions = _conditions(route["metadata"]["generation"], "Accepted", "ResolvedRefs")
            parent = {"parentRef": route["spec"]["parentRefs"][0], "controllerName": _NAME, "conditions": conditions}
            _write_status(client, "httproutes", route, {"parents": [parent]})
            self.rules = [self._rule(client, route, rule) for rule in route["spec"]["rules"]]

    def _rule(self, client: Client, route: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
        namespace = route["metadata"]["namespace"]
        backends = [
            (each["name"], each.get("weight", 1), _address(client, namespace, each["name"], each["port"]))
            for each in rule.get("backendRefs", [])
        ]
        return {"match": (rule.get("matches") or [{}])[0], "backends": backends}

    def choose_backend(self, path: str, headers: Any) -> tuple[str, int, str] | None:
        """Choose the backend of a request by the most specific rule: headers count before the length of the path."""

        def matches(match: dict[str, Any]) -> bool:
            wanted = all(headers.get(each["name"]) == each["value"] for each in match.get("headers", []))
            return wanted and path.startswith(match.get("path", {}).get("value", "/"))

        def specificity(rule: dict[str, Any]) -> tuple[int, int]:
            return len(rule["match"].get("headers", [])), len(rule["match"].get("path", {}).get("value", "/"))

        matching = sorted((rule for rule in self.rules if matches(rule["match"])), key=specificity, reverse=True)
        if not matching or not matching[0]["backends"]:
            return None
        backends: list[tuple[str, int, str]] = matching[0]["backends"]
        return random.choices(backends, [each[1] for each in backends])[0]


def _write_status(client: Client, plural: str, found: dict[str, Any], status: dict[str, Any]) -> None:
    metadata = found["metadata"]
    place = f"{_API}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}/status"
    client.ask("PATCH", place, {"status": status})


def _address(client: Client, namespace: str, service: str, port: int) -> str:
    found = client.ask("GET", f"/api/v1/namespaces/{namespace}/services/{service}")
    target = next((each["targetPort"] for each in found["spec"]["ports"] if each["port"] == port), 0) if found else 0
    pods = client.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app={service}")
    address = next((each["status"].get("podIP", "") for each in pods), "")
    return f"{address}:{target}" if address and target else ""


def _handler(routes: _Routes, *, alone: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer in the backend's place, or pass its complete answer on."""
            backend = routes.choose_backend(self.path, self.headers)
            if backend is None or not backend[2]:
                self._answer(500, b"")
            elif alone and self.path.startswith("/stream"):
                self._answer(200, b"".join(b"data: %d\n\n" % number for number in range(1, 7)))
            elif alone:
                self._answer(200, backend[0].encode())
            else:
                self._pass_on(backend[2])

        def _pass_on(self, address: str) -> None:
            connection = HTTPConnection(address, timeout=15)
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                self._answer(answer.status, answer.read())
            except (OSError, HTTPException):
                self._answer(503, b"")
            finally:
                connection.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


if __name__ == "__main__":
    known = _Routes()
    if sys.argv[1] != "silent-gateway":
        handler = _handler(known, alone=sys.argv[1] == "lone-gateway")
        server = ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), _PORT), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    again_and_again(known.step)
